-- Purpose: "Do announcements arrive?": the judgement, the console's view of it, and what dashboards may know.
-- Who may call: operators and service_role; members public.announcements, about their own agency. Locks: none.
-- Cost: counts by the minute, one small row a creator, and as many events as were refused.

create or replace function private.last_accepted()
returns timestamptz
language sql
stable
set search_path = ''
set enable_seqscan = off
as $$
  -- one probe for each status
  select max(w.received_at)
  from unnest(array['applied', 'duplicate_of_api', 'ignored', 'parked', 'failed']) s(status)
  cross join lateral (select e.received_at from public.webhook_events e where e.status = s.status order by e.received_at desc limit 1) w
$$;
comment on function private.last_accepted() is 'When the last signed event arrived, whatever became of it; null: never, as far as events are kept.';
revoke all on function private.last_accepted() from public, anon, authenticated;
grant execute on function private.last_accepted() to service_role;

create type private.announcement_facts as (
  last_accepted_at timestamptz, refused bigint, refused_first_at timestamptz, refused_last_at timestamptz, unsigned bigint,
  refused_lately bigint, accepted_lately bigint, is_refused boolean, is_expected boolean, silent integer, silent_since timestamptz, unopened integer);
comment on type private.announcement_facts is
  'Do announcements arrive? Counts of the last day; lately: private.announcement_settings.recent. is_refused, silent (creators) and unopened (stored secrets that the function cannot open) want attention.';

create or replace function private.refusal_facts(p_now timestamptz)
returns private.announcement_facts
language plpgsql
stable
set search_path = ''
set enable_seqscan = off
as $$
declare
  v_settings private.announcement_settings;
  f private.announcement_facts;
  v_most constant bigint := 10000;
  v_minutes bigint;
  v_minutes_lately bigint;
begin
  select s.* into v_settings from private.announcement_settings s;
  f.last_accepted_at := private.last_accepted();
  select coalesce(sum(r.looks_signed), 0), count(*) filter (where r.looks_signed > 0), min(r.minute) filter (where r.looks_signed > 0),
         max(r.last_at) filter (where r.looks_signed > 0), coalesce(sum(r.unsigned), 0),
         coalesce(sum(r.looks_signed) filter (where r.is_recent), 0), count(*) filter (where r.is_recent and r.looks_signed > 0)
  into f.refused, v_minutes, f.refused_first_at, f.refused_last_at, f.unsigned, f.refused_lately, v_minutes_lately
  from (select x.minute, x.last_at, x.unsigned, x.wrong_signature + x.too_old + x.not_configured as looks_signed,
               x.last_at > p_now - v_settings.recent as is_recent
        from private.webhook_refusals x where x.minute > p_now - interval '1 day') r;
  f.accepted_lately := 0;
  if f.refused_lately > 0 and f.last_accepted_at > p_now - v_settings.recent then
    -- no further than the comparison needs, and no further than a flood may make it cost
    select count(*) into f.accepted_lately
    from (select
          from unnest(array['applied', 'duplicate_of_api', 'ignored', 'parked', 'failed']) s(status)
          cross join lateral (select from public.webhook_events e
                              where e.status = s.status and e.received_at > p_now - v_settings.recent limit least(f.refused_lately, v_most)) e
          limit least(f.refused_lately, v_most)) x;
  end if;
  f.is_refused :=
    -- the wrong secret of a busy agency within minutes, that of a quiet one in the course of a day
    (f.refused_lately >= v_settings.refused_after and v_minutes_lately >= 2 and f.refused_lately > f.accepted_lately)
    or (f.refused >= v_settings.refused_after and v_minutes >= 2 and coalesce(f.last_accepted_at, '-infinity') <= p_now - interval '1 day');
  return f;
end
$$;
comment on function private.refusal_facts(timestamptz) is
  'What arrived and what was refused, for the whole engine; says nothing of creators. Reads minute counts, and as many events as were refused.';
revoke all on function private.refusal_facts(timestamptz) from public, anon, authenticated;
grant execute on function private.refusal_facts(timestamptz) to service_role;

create or replace function private.announcement_facts(p_now timestamptz)
returns private.announcement_facts
language plpgsql
stable
set search_path = ''
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  f private.announcement_facts := private.refusal_facts(p_now);
begin
  f.is_expected := exists (select from private.announced_models x join public.models m on m.id = x.model_id and m.status = 'active');
  select count(*), min(x.unannounced_since)
  into f.silent, f.silent_since
  from private.announcement_settings s
  -- the words of announced_models_missed_idx
  join private.announced_models x on x.unannounced > 0 and x.unannounced >= s.unannounced_after and x.unannounced_since <= p_now - s.patience
  join public.models m on m.id = x.model_id and m.status = 'active';
  select count(*) into f.unopened
  from private.webhook_subscriptions w
  where w.state = 'active' and w.unopened_at > p_now - interval '1 day';
  return f;
end
$$;
comment on function private.announcement_facts(timestamptz) is
  'What the health line, alerts, metrics and doctor say of the announcements: refusal_facts, and the creators whose sales were missed.';
revoke all on function private.announcement_facts(timestamptz) from public, anon, authenticated;
grant execute on function private.announcement_facts(timestamptz) to service_role;

create or replace view ops.announcements
with (security_invoker = true) as
with facts as materialized (
  select n.now, f.*
  from (select private.engine_now() as now) n
  cross join lateral private.announcement_facts(n.now) f
)
select x.what, x.state, x.answer, x.remedy, x.since, a.name as agency, private.creator_name(m) as creator, x.model_id, m.agency_id
from (
  select 1 as place, 'accepted' as what, 'ok' as state,
         coalesce('the last one was accepted ' || private.span_words(f.now - f.last_accepted_at) || ' ago', 'none ever was') as answer,
         case when f.last_accepted_at is null and not f.is_expected then 'fanvue-sync webhooks register --all' end as remedy,
         f.last_accepted_at as since, null::uuid as model_id
  from facts f
  union all
  select 2, 'refused', case when f.is_refused then 'attention' else 'ok' end,
         concat_ws('; ', (select string_agg(c.count || ' ' || c.why, ', ')
                          from (select sum(r.wrong_signature) as count, 'signed with another secret' as why from private.webhook_refusals r where r.minute > f.now - interval '1 day'
                                union all
                                select sum(r.too_old), 'too old' from private.webhook_refusals r where r.minute > f.now - interval '1 day'
                                union all
                                select sum(r.not_configured), 'while the function had no secret for them' from private.webhook_refusals r where r.minute > f.now - interval '1 day'
                                union all
                                select sum(r.unsigned), 'without a signature' from private.webhook_refusals r where r.minute > f.now - interval '1 day') c
                          where c.count > 0),
                   'counted over a day'),
         'compare the signing secret of the Fanvue app (Events tab) with FANVUE_WEBHOOK_SECRETS of the functions (supabase secrets set), then: fanvue-sync webhooks test',
         f.refused_first_at, null
  from facts f
  where f.refused + f.unsigned > 0
  union all
  select 3, 'secret not opened', 'attention', 'the function cannot open the stored secret of this creator''s webhook: its TOKEN_ENCRYPTION_KEYS lacks the key',
         'set TOKEN_ENCRYPTION_KEYS of the functions to what the workers have (supabase secrets set), then: fanvue-sync webhooks test', w.unopened_at, w.model_id
  from facts f
  join private.webhook_subscriptions w on w.state = 'active' and w.unopened_at > f.now - interval '1 day'
  union all
  select 4, 'missing', 'attention',
         format('%s sales in a row were found by polls and not announced; the last announcement of money came %s', x.unannounced,
                coalesce(private.span_words(f.now - x.last_at) || ' ago', 'never')),
         'fanvue-sync webhooks test; if they were switched off on purpose: ' || format('select ops.expect_no_announcements(%L, %L)', x.model_id, 'why'),
         x.unannounced_since, x.model_id
  from facts f
  cross join private.announcement_settings s
  join private.announced_models x on x.unannounced > 0 and x.unannounced >= s.unannounced_after and x.unannounced_since <= f.now - s.patience
  where exists (select from public.models y where y.id = x.model_id and y.status = 'active')
) x
left join public.models m on m.id = x.model_id
left join public.agencies a on a.id = m.agency_id
order by x.state, x.place, x.since;
comment on view ops.announcements is
  'Do Fanvue''s announcements (webhooks) arrive? What was accepted and refused, secrets that do not open, creators whose sales are not announced. Nothing is lost meanwhile: polls find it later. Thresholds: private.announcement_settings.';
comment on column ops.announcements.what is 'accepted, refused, secret not opened, or missing: sales that polls found first.';
comment on column ops.announcements.state is 'ok or attention.';
comment on column ops.announcements.answer is 'What is the case.';
comment on column ops.announcements.remedy is 'What to do; empty: nothing.';
comment on column ops.announcements.since is 'Since when; of accepted ones: the last.';
comment on column ops.announcements.agency is 'The agency, where it is about a creator. What was refused has none: it was not believed.';
comment on column ops.announcements.creator is 'The creator''s handle.';
comment on column ops.announcements.model_id is 'The creator''s model.';
comment on column ops.announcements.agency_id is 'The agency.';
revoke all on ops.announcements from public, anon, authenticated;
grant select on ops.announcements to service_role;

create or replace function private.announcements_as_member(p_agency_id uuid)
returns jsonb
language plpgsql
stable
security definer
set search_path = ''
set enable_seqscan = off
as $$
declare
  v_now timestamptz := private.engine_now();
  f private.announcement_facts;
  v_last_at timestamptz;
  v_expected bigint;
  v_silent_since timestamptz;
  v_missed_since timestamptz;
begin
  -- nothing below reads what is another agency's
  if p_agency_id is null or p_agency_id not in (select private.member_agency_ids()) then
    raise exception 'not a member of this agency' using errcode = '42501';
  end if;
  f := private.refusal_facts(v_now);
  select max(a.last_at), count(*),
         min(a.unannounced_since) filter (where a.unannounced >= s.unannounced_after and a.unannounced_since <= v_now - s.patience),
         min(a.unannounced_since) filter (where a.unannounced > 0 and a.unannounced_since between f.refused_first_at and v_now - s.patience)
  into v_last_at, v_expected, v_silent_since, v_missed_since
  from private.announcement_settings s
  cross join public.models m
  join private.announced_models a on a.model_id = m.id
  where m.agency_id = p_agency_id and m.status = 'active';
  return case
    when v_silent_since is not null then jsonb_build_object('state', 'missing', 'since', v_silent_since)
    -- nobody knows whose they are: an agency is concerned that misses an announcement of its own since
    when f.is_refused and v_missed_since is not null then jsonb_build_object('state', 'refused', 'since', v_missed_since)
    when v_expected = 0 then jsonb_build_object('state', 'none', 'since', null)
    else jsonb_build_object('state', 'arriving', 'since', v_last_at) end;
end
$$;
comment on function private.announcements_as_member(uuid) is 'What public.announcements does, with the right to read the counts.';
revoke all on function private.announcements_as_member(uuid) from public, anon;
grant execute on function private.announcements_as_member(uuid) to authenticated;

create or replace function public.announcements(p_agency_id uuid)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select private.announcements_as_member(p_agency_id)
$$;
comment on function public.announcements(uuid) is
  'For dashboards: whether Fanvue''s announcements reach your agency, {state, since}. arriving; none: nobody set webhooks up, polls find everything; refused: deliveries do not pass the check of their signature, and a sale of yours was not announced since; missing: polls found sales that nobody announced. '
  'Figures are right in every state, up to a poll''s pause late in the last three. 42501: not your agency.';
revoke all on function public.announcements(uuid) from public, anon, authenticated;
grant execute on function public.announcements(uuid) to authenticated;

create or replace function ops.expect_no_announcements(p_model_id uuid, p_why text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_count integer;
begin
  if not exists (select from public.models m where m.id = p_model_id) then
    raise sqlstate 'PT404' using message = format('no model %s', p_model_id), hint = 'ops.announcements names those that are missed, by their column model_id';
  end if;
  delete from private.announced_models a where a.model_id = p_model_id;
  get diagnostics v_count = row_count;
  if v_count > 0 then
    perform private.note_action('expect_no_announcements', 'model ' || p_model_id, jsonb_build_object('model_id', p_model_id, 'why', p_why), '{}');
  end if;
  return jsonb_build_object('model_id', p_model_id, 'changed', v_count > 0, 'message', case when v_count > 0
    then 'announcements of this creator are missed no more; the next one that arrives changes that'
    else 'nothing to do: none were expected' end);
end
$$;
comment on function ops.expect_no_announcements(uuid, text) is
  'For a creator whose webhooks were switched off on purpose: that sales are not announced is no news any more. The first one that is announced again makes it news again.';
revoke all on function ops.expect_no_announcements(uuid, text) from public, anon, authenticated;
grant execute on function ops.expect_no_announcements(uuid, text) to service_role;
