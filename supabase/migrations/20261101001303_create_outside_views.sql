-- Purpose: what waits for somebody outside: webhooks that could not be applied, accounts that must connect again, rate budgets.
-- Who may call: service_role, and the owner in Studio. Cost: by partial and status indexes; money by daily sums.

create or replace view ops.webhooks_waiting
with (security_invoker = true) as
select private.span_words(n.now - e.received_at) as waiting_for, e.topic, e.status,
       case when e.status = 'failed' then coalesce(e.error, 'no reason noted')
            when m.id is null then 'no model has this creator: the event is applied when they connect'
            else 'the creator is connected by now: it is applied with the next page, or at once by the remedy' end as reason,
       case when e.status = 'failed' or m.id is not null then format('select ops.replay_webhook(%L)', e.id)
            when e.creator_uuid is null then 'it names no creator: run the dismissal'
            else private.connect_step(n.only_agency_id, e.creator_uuid) || '; else run the dismissal' end as remedy,
       format('select ops.ignore_webhook(%L, %L)', e.id, 'why') as dismissal,
       a.name as agency, private.creator_name(m) as creator, e.received_at, e.creator_uuid, e.event_id, e.id, m.id as model_id
from (select private.engine_now() as now,
             -- whose the creator will be is known where there is but one agency
             (select (array_agg(x.id))[1] from (select a.id from public.agencies a limit 2) x having count(*) = 1) as only_agency_id) n
cross join public.webhook_events e
left join public.models m on m.fanvue_user_uuid = e.creator_uuid
left join public.agencies a on a.id = m.agency_id
where e.status in ('parked', 'failed')
order by e.status, e.received_at, e.id;
comment on view ops.webhooks_waiting is
  'Signed events that are stored but not applied: failed (the reason says why) and parked (their creator is not known). Money among them is not in the books yet. Many at once: ops.replay_webhooks.';
comment on column ops.webhooks_waiting.waiting_for is 'How long ago it arrived.';
comment on column ops.webhooks_waiting.topic is 'Fanvue''s event type.';
comment on column ops.webhooks_waiting.status is 'failed or parked.';
comment on column ops.webhooks_waiting.reason is 'Why it was not applied.';
comment on column ops.webhooks_waiting.remedy is 'The call that applies it, or the step to take.';
comment on column ops.webhooks_waiting.dismissal is 'The call that sets it aside where it cannot be applied: it then waits for nobody. Put the reason in the place of why.';
comment on column ops.webhooks_waiting.agency is 'The agency, if the creator is known.';
comment on column ops.webhooks_waiting.creator is 'The creator''s handle, if known.';
comment on column ops.webhooks_waiting.received_at is 'When it arrived.';
comment on column ops.webhooks_waiting.creator_uuid is 'The creator whom it is about.';
comment on column ops.webhooks_waiting.event_id is 'Fanvue''s id of the event.';
comment on column ops.webhooks_waiting.id is 'The row in webhook_events.';
comment on column ops.webhooks_waiting.model_id is 'The creator''s model.';
revoke all on ops.webhooks_waiting from public, anon, authenticated;
grant select on ops.webhooks_waiting to service_role;

create or replace function private.cost_of_silence(p_model_ids uuid[], p_now timestamptz)
returns table (streams integer, days_missing numeric, daily_gross numeric, newest_earning_at timestamptz)
language sql
stable
set search_path = ''
set enable_seqscan = off
as $$
  select sum(s.streams)::integer, max(round((extract(epoch from p_now - s.earned_at) / 86400)::numeric, 1)), round(sum(d.gross), 2), max(s.high_water)
  from unnest(p_model_ids) x(model_id)
  cross join lateral (select count(*) as streams, max(y.last_success_at) filter (where y.sync_type = 'earnings') as earned_at,
                             max(y.high_water) filter (where y.sync_type = 'earnings') as high_water
                      from public.sync_state y where y.model_id = x.model_id) s
  -- the thirty days up to the last reading: what came after it is not known
  cross join lateral (select coalesce(sum(e.gross), 0) / 30 as gross
                      from public.earnings_daily e
                      where e.model_id = x.model_id and e.day > (s.earned_at at time zone 'UTC')::date - 30
                        and e.day <= (s.earned_at at time zone 'UTC')::date) d
$$;
comment on function private.cost_of_silence(uuid[], timestamptz) is
  'What it costs that these models are not read: streams, days since their money was last read, average gross per day before (US dollars).';
revoke all on function private.cost_of_silence(uuid[], timestamptz) from public, anon, authenticated;
grant execute on function private.cost_of_silence(uuid[], timestamptz) to service_role;

create or replace view ops.reconnect
with (security_invoker = true) as
select a.name as agency, x.account, private.span_words(n.now - x.since) as waiting_for, x.reason, x.remedy,
       cardinality(x.model_ids) as creators, c.streams as streams_not_read, c.days_missing, c.daily_gross,
       round(c.days_missing * c.daily_gross, 2) as possibly_missing, c.newest_earning_at, x.since, x.kind, x.account_uuid, x.id, x.agency_id
from (select private.engine_now() as now) n
cross join lateral (
  select m.agency_id, private.creator_name(m) as account, 'creator' as kind, m.status_changed_at as since, m.status_reason as reason,
         private.connect_step(m.agency_id, m.fanvue_user_uuid) as remedy,
         array[m.id] as model_ids, m.fanvue_user_uuid as account_uuid, m.id
  from public.models m
  where m.status = 'reauth_required'
    and not exists (select from public.agency_connections k where k.id = m.connection_id and k.status = 'reauth_required')
  union all
  select k.agency_id, coalesce(k.handle, k.fanvue_user_uuid), 'agency', k.status_changed_at, k.status_reason,
         'the agency''s administrator connects again: "Reconnect" in the dashboard, or fanvue-sync connect-agency --agency ' || k.agency_id || ' --user-uuid ' || k.fanvue_user_uuid || ' --refresh-token -',
         array(select m.id from public.models m where m.connection_id = k.id and m.agency_id = k.agency_id and m.status = 'reauth_required'),
         k.fanvue_user_uuid, k.id
  from public.agency_connections k
  where k.status = 'reauth_required'
) x
join public.agencies a on a.id = x.agency_id
cross join lateral private.cost_of_silence(x.model_ids, n.now) c
order by round(c.days_missing * c.daily_gross, 2) desc nulls last, x.since;
comment on view ops.reconnect is
  'Accounts that must connect again, and what it costs meanwhile; the dearest first. Their grants are kept. Nothing is lost for good: a reconnect reads what was missed.';
comment on column ops.reconnect.agency is 'The agency''s name.';
comment on column ops.reconnect.account is 'The account that must connect: a creator''s, or the agency''s administrator''s.';
comment on column ops.reconnect.waiting_for is 'Since when nothing is read.';
comment on column ops.reconnect.reason is 'Why the grant is no good any more.';
comment on column ops.reconnect.remedy is 'Who has to do what; the command runs as it stands and asks for the token.';
comment on column ops.reconnect.creators is 'How many creators wait for it.';
comment on column ops.reconnect.streams_not_read is 'How many streams stand still.';
comment on column ops.reconnect.days_missing is 'Days since money was last read to its end.';
comment on column ops.reconnect.daily_gross is 'Average gross per day of the thirty days before that, US dollars.';
comment on column ops.reconnect.possibly_missing is 'Both multiplied: about so much is not on the dashboards, US dollars.';
comment on column ops.reconnect.newest_earning_at is 'The newest sale that a finished reading saw.';
comment on column ops.reconnect.since is 'Since when.';
comment on column ops.reconnect.kind is 'creator or agency.';
comment on column ops.reconnect.account_uuid is 'The account''s uuid on Fanvue.';
comment on column ops.reconnect.id is 'The row in models, or in agency_connections.';
comment on column ops.reconnect.agency_id is 'The agency.';
revoke all on ops.reconnect from public, anon, authenticated;
grant select on ops.reconnect to service_role;

create or replace view ops.budgets
with (security_invoker = true) as
select coalesce(private.creator_name(m), b.bucket) as creator, x.endpoints, u.used, b.max_calls as call_limit, round(100.0 * u.used / b.max_calls) as per_cent,
       x.blocked, private.clock_words(x.blocked_until, n.now) as blocked_until,
       coalesce(q.live, 0) as live_waiting, coalesce(q.normal, 0) as normal_waiting, coalesce(q.backfill, 0) as backfill_waiting, coalesce(q.low, 0) as low_waiting,
       greatest(0, private.lane_cap(b.max_calls, 'live') - u.used) as live_room, greatest(0, private.lane_cap(b.max_calls, 'normal') - u.used) as normal_room,
       greatest(0, private.lane_cap(b.max_calls, 'backfill') - u.used) as backfill_room, greatest(0, private.lane_cap(b.max_calls, 'low') - u.used) as low_room,
       case when x.blocked is not null then format('select ops.unblock_bucket(%L)', b.bucket) end as remedy,
       b.window_seconds, b.seen_at as limit_seen_at, b.bucket, m.id as model_id
from (select private.engine_now() as now) n
cross join (
  select y.*, row_number() over (partition by y.bucket order by y.max_calls desc) = 1 as largest
  from (select b.bucket, b.max_calls, b.window_seconds, b.seen_at, b.slots, b.head_s from private.api_budgets b
        union all
        -- refused before any call was counted
        select e.bucket, 100, 60, null, '{}', 0
        from private.api_endpoints e
        where not exists (select from private.api_budgets b where b.bucket = e.bucket)
        group by e.bucket) y
) b
left join public.models m on m.fanvue_user_uuid = regexp_replace(b.bucket, '^.*:', '')
cross join lateral (
  select coalesce(sum(s.calls), 0)::integer as used
  from unnest(b.slots) with ordinality s(calls, place)
  where b.head_s - cardinality(b.slots) + s.place > floor(extract(epoch from n.now)) - b.window_seconds
) u
cross join lateral (
  select string_agg(nullif(e.endpoint, ''), ', ' order by e.endpoint) as endpoints,
         string_agg(coalesce(nullif(e.endpoint, ''), 'all'), ', ' order by e.endpoint) filter (where e.blocked_until > n.now) as blocked,
         max(e.blocked_until) filter (where e.blocked_until > n.now) as blocked_until
  from private.api_endpoints e
  where e.bucket = b.bucket and (e.max_calls = b.max_calls or (e.max_calls is null and b.largest))
) x
left join (
  select j.bucket, count(*) filter (where j.priority <= 20) as live, count(*) filter (where j.priority between 21 and 60) as normal,
         count(*) filter (where j.priority between 61 and 120) as backfill, count(*) filter (where j.priority > 120) as low
  from (select private.engine_now() as now offset 0) k
  cross join public.sync_jobs j
  where j.state = 'queued' and j.run_at <= k.now
  group by j.bucket
) q on q.bucket = b.bucket and b.largest
order by x.blocked is null, round(100.0 * u.used / b.max_calls) desc, b.bucket, b.max_calls;
comment on view ops.budgets is
  'Rate budgets: what Fanvue allows per window, what was used of it, which endpoints are blocked until when, and what waits for it by lane. One row per bucket and limit: endpoints with a smaller limit stand apart. Lower lanes leave a share to the live one.';
comment on column ops.budgets.creator is 'Whose calls: the creator''s handle, or the bucket.';
comment on column ops.budgets.endpoints is 'The endpoints that share the limit, as far as they were called.';
comment on column ops.budgets.used is 'Calls granted in the window that ends now.';
comment on column ops.budgets.call_limit is 'Calls per window: 100 until Fanvue''s headers said otherwise.';
comment on column ops.budgets.per_cent is 'used of call_limit.';
comment on column ops.budgets.blocked is 'The endpoints among them that Fanvue refused (429); all: the whole bucket. Empty: none.';
comment on column ops.budgets.blocked_until is 'Nobody calls those before then.';
comment on column ops.budgets.live_waiting is 'Due jobs of the live lane that draw on it.';
comment on column ops.budgets.normal_waiting is 'Due jobs of the normal lane.';
comment on column ops.budgets.backfill_waiting is 'Due jobs of the backfill lane.';
comment on column ops.budgets.low_waiting is 'Due jobs of the low lane.';
comment on column ops.budgets.live_room is 'Calls that the live lane may still make in this window.';
comment on column ops.budgets.normal_room is 'The same for the normal lane.';
comment on column ops.budgets.backfill_room is 'The same for the backfill lane.';
comment on column ops.budgets.low_room is 'The same for the low lane.';
comment on column ops.budgets.remedy is 'The call that lifts a block before its end. Only if Fanvue allows calls again: else the next 429 sets it anew.';
comment on column ops.budgets.window_seconds is 'How long a window is.';
comment on column ops.budgets.limit_seen_at is 'When Fanvue''s headers last told the limit.';
comment on column ops.budgets.bucket is 'The bucket, as the workers name it.';
comment on column ops.budgets.model_id is 'The creator''s model, if it is known.';
revoke all on ops.budgets from public, anon, authenticated;
grant select on ops.budgets to service_role;
