-- Purpose: what the command line says for people: what wants attention, one line for each root cause, and who the creators are.
-- Who may call: service_role (the command line). Locks: none. Cost: ops.health with one row of each view that it points to; the
-- lists, what they list.

create or replace function public.engine_attention()
returns jsonb
language sql
stable
set search_path = ''
as $$
  with asked as materialized (
    select * from private.health_answers h
  ), told as materialized (
    -- one root cause is one line: what another question tells of is not told again
    select t.cause
    from (values ('no_worker', 'ops.running'), ('worker_gone', 'ops.running'), ('not_queued', 'ops.schedule_health'), ('dead', 'ops.dead_jobs'),
                 ('budget', 'ops.budgets')) t(cause, look)
    join asked o on o.where_to_look = t.look and o.state = 'attention'
    union all
    values ('tried_now'), ('reauth_required')
  )
  select coalesce(jsonb_agg(jsonb_build_object(
           'question', t.question, 'what', t.answer, 'remedy', coalesce(r.remedy, 'see what stands there'), 'where_to_look', t.where_to_look)
           order by t.place), '[]'::jsonb)
  from asked t
  left join lateral (
    -- the views are in the order in which an operator goes through them
    select case t.where_to_look
      when 'ops.late' then case when exists (select from unnest(t.causes) c(cause) where c.cause not in (select o.cause from told o))
                                then (select l.remedy from ops.late l where not l.deliberate and l.cause not in (select o.cause from told o) limit 1) end
      when 'ops.running' then (select coalesce((select x.to_stop_it from ops.running x where x.lease_left like 'ended%' limit 1), 'start a worker: fanvue-sync run'))
      when 'ops.schedule_health' then (select s.remedy from ops.schedule_health s where s.remedy is not null limit 1)
      when 'ops.reconnect' then (select c.remedy from ops.reconnect c limit 1)
      when 'ops.dead_jobs' then (select d.remedy from ops.dead_jobs d limit 1)
      when 'ops.webhooks_waiting' then (select w.remedy from ops.webhooks_waiting w where w.remedy is not null limit 1)
      when 'ops.announcements' then (select w.remedy from ops.announcements w where w.state = 'attention' limit 1)
      when 'ops.unproved' then (select u.remedy from ops.unproved u limit 1)
      when 'ops.drift' then coalesce((select concat_ws('; then: ', f.what_to_do, f.remedy) from ops.drift f limit 1), 'prove the money now: fanvue-sync reconcile')
      when 'ops.foreign_access' then (select a.remedy from private.foreign_access() a where a.kept is null limit 1)
      when 'ops.budgets' then (select b.remedy from ops.budgets b where b.remedy is not null limit 1)
      when 'ops.late where deliberate' then 'update private.sync_streams set enabled = true where sync_type = ''earnings'''
      when 'ops.queue_table' then (select q.remedy from ops.queue_table q)
      when 'ops.retention' then (select x.remedy from ops.retention x where x.overdue limit 1)
    end as remedy
  ) r on true
  where t.state = 'attention' and (t.where_to_look <> 'ops.late' or r.remedy is not null)
$$;
comment on function public.engine_attention() is
  'What wants an operator''s attention, from ops.health: question, answer, the first remedy, and the view with all of them. Empty is good.';
revoke all on function public.engine_attention() from public, anon, authenticated;
grant execute on function public.engine_attention() to service_role;

create or replace function public.find_model(p_who text)
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
declare
  v_who text := lower(ltrim(private.agency_name(p_who), '@'));
  v_found jsonb;
begin
  select jsonb_agg(jsonb_build_object('model_id', f.id, 'name', private.creator_name(f.m), 'agency', f.agency) order by f.agency, f.id) into v_found
  from (
    select m, m.id, a.name as agency, rank() over (order by x.place) as place
    from public.models m
    join public.agencies a on a.id = m.agency_id
    -- what is written out goes before the beginning of an id, which lists show
    cross join lateral (select case when v_who in (m.id::text, m.fanvue_user_uuid, lower(m.handle)) then 1
                                    when v_who ~ '^[0-9a-f-]{8,35}$' and starts_with(m.id::text, v_who) then 2
                                    when v_who = lower(private.agency_name(m.display_name)) then 3 end as place) x
    -- an empty name means nobody, also where somebody's is empty
    where x.place is not null and v_who <> ''
  ) f
  where f.place = 1;
  if v_found is null then
    raise sqlstate 'PT404' using message = format('no creator is called %L', p_who), hint = 'fanvue-sync creators lists them';
  end if;
  if jsonb_array_length(v_found) > 1 then
    raise sqlstate 'PT409' using message = format('%s creators are called %L', jsonb_array_length(v_found), p_who),
      hint = 'give one of their ids: ' || (select string_agg(format('%s (%s)', o.value ->> 'model_id', o.value ->> 'agency'), ', ')
                                           from jsonb_array_elements(v_found) o);
  end if;
  return v_found -> 0;
end
$$;
comment on function public.find_model(text) is
  'The creator whom a person means: by handle, model id, its first eight letters or more, uuid on Fanvue, or name. Errors: 404 nobody, 409 several, with their ids.';
revoke all on function public.find_model(text) from public, anon, authenticated;
grant execute on function public.find_model(text) to service_role;

create or replace function public.list_creators()
returns jsonb
language sql
stable
set search_path = ''
as $$
  select jsonb_build_object(
    'now', private.engine_now(),
    'creators', (select coalesce(jsonb_agg(to_jsonb(x) order by x.agency, x.name, x.model_id), '[]'::jsonb)
                 from (select v.id as model_id, private.creator_name(m) as name, v.handle, v.display_name, v.fanvue_user_uuid, a.name as agency,
                              v.agency_id, v.status, m.status_reason, v.revenue_total::text, v.earnings_synced_at,
                              m.connection_id is not null as through_agency
                       from public.model_overview v
                       join public.models m on m.id = v.id
                       join public.agencies a on a.id = v.agency_id) x),
    -- one line for each account, not for each creator behind it
    'reconnect', (select coalesce(jsonb_agg(jsonb_build_object('account', r.account, 'agency', r.agency, 'creators', r.creators,
                                                               'waiting_for', r.waiting_for, 'reason', r.reason, 'remedy', r.remedy)), '[]'::jsonb)
                  from ops.reconnect r))
$$;
comment on function public.list_creators() is
  'Every creator for the command line: what they are called, agency, status, money (US dollars as text) and how fresh it is; and who must connect again, how.';
revoke all on function public.list_creators() from public, anon, authenticated;
grant execute on function public.list_creators() to service_role;

create or replace function public.list_troubles(p_limit integer default null)
returns jsonb
language sql
stable
set search_path = ''
set jit = off
as $$
  with streams as (
    select h.*, a.name as agency, private.creator_name(m) as creator, k.id as connection_id,
           case when h.model_status = 'reauth_required' then coalesce(k.status_reason, m.status_reason) else s.last_error ->> 'message' end as reason
    from private.judged_streams() h
    join public.sync_state s on s.model_id = h.model_id and s.sync_type = h.sync_type
    join public.models m on m.id = h.model_id
    join public.agencies a on a.id = h.agency_id
    left join public.agency_connections k on k.id = m.connection_id and k.status = 'reauth_required'
    where private.health_rank(h.health) < 0
  ), causes as (
    select private.health_rank(s.health) as rank, s.health, s.reason, count(*) as streams, count(distinct s.model_id) as creators,
           array_agg(distinct s.agency order by s.agency) as agencies, (array_agg(distinct s.creator order by s.creator))[1:3] as named,
           (array_agg(distinct s.sync_type order by s.sync_type))[1:3] as sync_types, min(s.last_success_at) as since
    from streams s
    group by s.health, s.reason, s.connection_id,
             -- each account that must connect is a cause of its own
             case when s.model_status = 'reauth_required' and s.connection_id is null then s.model_id end
  )
  select jsonb_build_object(
    'causes', (select count(*) from causes),
    'listed', coalesce((select jsonb_agg(to_jsonb(x) - 'place' order by x.place)
                        from (select c.*, row_number() over (order by c.rank, c.streams desc, c.named) as place from causes c
                              order by place limit p_limit) x), '[]'::jsonb))
$$;
comment on function public.list_troubles(integer) is
  'What is wrong with streams, one line for each root cause, the worst first: how many streams of how many creators, some of them by name, and why. p_limit null is all.';
revoke all on function public.list_troubles(integer) from public, anon, authenticated;
grant execute on function public.list_troubles(integer) to service_role;
