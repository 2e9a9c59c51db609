-- Purpose: whether announcements arrive: what the webhook function refused, and sales that polls found and nobody announced.
-- Who may call: the page commit and the webhook functions write; the console's views and alerts read (create_announcement_views).
-- A refused delivery has no tenant: it is counted for the whole engine, without a word of what it held.

create table private.announcement_settings (
  singleton boolean primary key default true check (singleton),
  refused_after integer not null default 5 check (refused_after > 0),
  unannounced_after integer not null default 3 check (unannounced_after > 0),
  recent interval not null default '15 minutes' check (recent >= interval '2 minutes'),
  patience interval not null default '10 minutes' check (patience >= interval '1 minute')
);
comment on table private.announcement_settings is
  'When silence of the announcements is news. One row. Anybody can send a forged request, so one alone, or a burst within one minute, is none.';
comment on column private.announcement_settings.refused_after is
  'So many refused deliveries that look signed, in at least two minutes, and more of them than were accepted within recent (or none accepted within a day), want attention. '
  'Those without a signature never do: Fanvue signs.';
comment on column private.announcement_settings.unannounced_after is
  'So many sales in a row of one creator that a poll found and nobody announced want attention: one may be lost on its way, three are a pattern.';
comment on column private.announcement_settings.recent is 'What counts as lately, when refused and accepted deliveries are compared.';
comment on column private.announcement_settings.patience is 'How long the announcement of a sale that a poll found first may still be on its way.';
revoke all on private.announcement_settings from public, anon, authenticated;
grant select, update on private.announcement_settings to service_role;
insert into private.announcement_settings default values;

create table private.webhook_refusals (
  minute timestamptz primary key,
  wrong_signature bigint not null default 0,
  too_old bigint not null default 0,
  not_configured bigint not null default 0,
  unsigned bigint not null default 0,
  last_at timestamptz not null,
  reports uuid[] not null default '{}'
  -- a flood updates one row in place, and indexes nothing anew
) with (fillfactor = 50);
comment on table private.webhook_refusals is
  'Deliveries that the webhook function refused, counted by the minute and kept for two days. The function counts in memory and reports every few seconds at most: a flood costs as little as a trickle.';
comment on column private.webhook_refusals.minute is 'The minute in which they were reported.';
comment on column private.webhook_refusals.wrong_signature is 'Signed in form, with none of the secrets that the function knows: forged, or its secret is not Fanvue''s.';
comment on column private.webhook_refusals.too_old is 'Signed rightly, more than five minutes away from the function''s clock: repeated by a stranger, or a clock is wrong.';
comment on column private.webhook_refusals.not_configured is 'The function had no secret to check with, or could not open the one that is stored.';
comment on column private.webhook_refusals.unsigned is 'Events without a signature. Fanvue sends none.';
comment on column private.webhook_refusals.last_at is 'When the last report came.';
comment on column private.webhook_refusals.reports is 'The last hundred reports of that minute: one that comes again, as its answer was lost, counts once.';
revoke all on private.webhook_refusals from public, anon, authenticated;
grant select, insert, update, delete on private.webhook_refusals to service_role;

create table private.announced_models (
  model_id uuid primary key references public.models (id) on delete cascade,
  since timestamptz not null,
  last_at timestamptz,
  unannounced integer not null default 0,
  unannounced_since timestamptz
) with (fillfactor = 50);
comment on table private.announced_models is
  'Creators whose sales are expected to be announced: one was announced once by creator.payment.succeeded, or a webhook is registered for them. Nobody else is missed.';
comment on column private.announced_models.since is 'Sales that happened before then are not expected to have been announced.';
comment on column private.announced_models.last_at is 'When money was last announced, to the minute; null: not yet.';
comment on column private.announced_models.unannounced is 'Sales that polls found since then, soon after they happened, and nobody announced.';
comment on column private.announced_models.unannounced_since is 'When the first of them was found.';
create index announced_models_missed_idx on private.announced_models (unannounced_since) where unannounced > 0;
revoke all on private.announced_models from public, anon, authenticated;
grant select, insert, update, delete on private.announced_models to service_role;

create or replace function private.note_announced(p_model_id uuid, p_topic text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  update private.announced_models a
  set last_at = p_now, unannounced = 0, unannounced_since = null
  -- a burst writes once a minute
  where a.model_id = p_model_id and (a.unannounced > 0 or a.last_at is null or a.last_at < p_now - interval '1 minute');
  -- The topic that announces sales of every kind. Whoever chose others alone, tips say, does not wait for the rest.
  if not found and p_topic = 'creator.payment.succeeded' then
    insert into private.announced_models (model_id, since, last_at) values (p_model_id, p_now, p_now)
    on conflict (model_id) do nothing;
  end if;
end
$$;
comment on function private.note_announced(uuid, text, timestamptz) is
  'Notes that money of a creator was announced: what was missed before is over, and after the topic of all sales silence is news.';
revoke all on function private.note_announced(uuid, text, timestamptz) from public, anon, authenticated;
grant execute on function private.note_announced(uuid, text, timestamptz) to service_role;

create or replace function private.count_unannounced(p_model_id uuid, p_added uuid[], p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  -- what a poll reads much later may be a repaired list; its announcement was long ago, if there was one
  v_soon constant interval := interval '6 hours';
  v_since timestamptz;
begin
  if cardinality(p_added) = 0 then
    return;
  end if;
  select a.since into v_since from private.announced_models a where a.model_id = p_model_id;
  if not found then
    return;
  end if;
  update private.announced_models a
  set unannounced = a.unannounced + x.sales, unannounced_since = coalesce(a.unannounced_since, p_now)
  from (select count(*)::integer as sales
        from public.fanvue_transactions t
        where t.id = any (p_added) and t.fanvue_created_at > greatest(v_since, p_now - v_soon)
          -- what no fan paid is not announced, and reversals are rare and late
          and t.fan_uuid is not null and coalesce(t.category, '') not in ('refund', 'chargeback')) x
  where a.model_id = p_model_id and x.sales > 0;
end
$$;
comment on function private.count_unannounced(uuid, uuid[], timestamptz) is
  'Counts the fresh sales among rows that a poll just added: had they been announced, their rows would have been there. One probe where nothing is expected.';
revoke all on function private.count_unannounced(uuid, uuid[], timestamptz) from public, anon, authenticated;
grant execute on function private.count_unannounced(uuid, uuid[], timestamptz) to service_role;
