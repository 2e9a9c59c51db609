-- Purpose: what pages of Fanvue's lists of subscribers and followers change: who is on them, and who no longer is.
-- Who may call: commit_sync_page (service_role), under the model's lock.
-- A row that says nothing new is not written, except that a complete reading marks whom it saw.

create or replace function private.apply_subscribers(
  p_job public.sync_jobs, p_state public.sync_state, p_rows jsonb, p_at timestamptz, p_now timestamptz,
  out inserted integer, out updated integer, out unchanged integer)
language plpgsql
set search_path = ''
set jit = off
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
  with listed as (
    select distinct on (x.fan_uuid) x.*,
           coalesce(x.subscription_status, 'active') not in ('expired', 'pending_confirmation')
             and (x.expires_at is null or x.expires_at > p_at or coalesce(x.auto_renews, false)) as active
    from jsonb_to_recordset(p_rows) as x(
      fan_uuid text, handle text, display_name text, registered_at timestamptz, is_top_spender boolean,
      subscription_status text, price numeric(14, 2), expires_at timestamptz, auto_renews boolean, subscribed_at timestamptz)
    where x.fan_uuid is not null
    order by x.fan_uuid
  ), compared as (
    select l.fan_uuid, f.id, f.id is null or (l.active and not f.is_subscriber and not v.stale) as is_new,
           coalesce(l.handle, f.handle) as handle, coalesce(l.display_name, f.display_name) as display_name,
           coalesce(l.registered_at, f.registered_at) as registered_at, coalesce(l.is_top_spender, f.is_top_spender) as is_top_spender,
           case when v.stale then f.is_subscriber else l.active end as is_subscriber,
           case when v.stale then f.subscription_status else coalesce(l.subscription_status, f.subscription_status) end as subscription_status,
           coalesce(l.price, f.price) as price,
           case when v.stale then f.expires_at else coalesce(l.expires_at, f.expires_at) end as expires_at,
           case when v.stale then f.auto_renews else coalesce(l.auto_renews, f.auto_renews) end as auto_renews, least(f.subscribed_at, l.subscribed_at) as subscribed_at,
           case when v.stale then f.ended_at when not l.active then coalesce(f.ended_at, l.expires_at, p_at) end as ended_at,
           case when v.stale or not l.active then f.end_reason end as end_reason,
           -- a complete reading marks whom it saw
           case when p_state.walk_kind = 'full' then p_now else f.subscriber_seen_at end as seen_at, f.before
    from listed l
    -- one probe per row, fenced: a plan from when the table was short reads all the model's fans
    left join lateral (select x.*, x as before from public.fanvue_fans x
                       where x.model_id = p_job.model_id and x.fan_uuid = l.fan_uuid offset 0) f on true
    -- an event that is younger than the page knows better
    cross join lateral (select coalesce(f.changed_at > p_at, false) as stale) v
  ), judged as (
    select c.*, (c.handle, c.display_name, c.registered_at, c.is_top_spender, c.is_subscriber, c.subscription_status, c.price,
                 c.expires_at, c.auto_renews, c.subscribed_at, c.ended_at, c.end_reason)
                is distinct from
                ((c.before).handle, (c.before).display_name, (c.before).registered_at, (c.before).is_top_spender,
                 (c.before).is_subscriber, (c.before).subscription_status, (c.before).price, (c.before).expires_at,
                 (c.before).auto_renews, (c.before).subscribed_at, (c.before).ended_at, (c.before).end_reason) as differs
    from compared c
  ), written as (
    update public.fanvue_fans f
    set handle = j.handle, display_name = j.display_name, registered_at = j.registered_at, is_top_spender = j.is_top_spender,
        is_subscriber = j.is_subscriber, subscription_status = j.subscription_status, price = j.price, expires_at = j.expires_at,
        auto_renews = j.auto_renews, subscribed_at = j.subscribed_at, ended_at = j.ended_at, end_reason = j.end_reason,
        last_seen_at = p_now, subscriber_seen_at = j.seen_at, subscriber_missed_at = null
    from judged j
    where f.id = j.id and (j.differs or f.subscriber_missed_at is not null or p_state.walk_kind = 'full')
  ), added as (
    insert into public.fanvue_fans (agency_id, model_id, fan_uuid, handle, display_name, registered_at, is_top_spender,
      is_subscriber, subscription_status, price, expires_at, auto_renews, subscribed_at, ended_at, first_seen_at, last_seen_at, subscriber_seen_at)
    select p_job.agency_id, p_job.model_id, j.fan_uuid, j.handle, j.display_name, j.registered_at, j.is_top_spender,
           j.is_subscriber, j.subscription_status, j.price, j.expires_at, j.auto_renews, j.subscribed_at, j.ended_at, p_now, p_now, j.seen_at
    from judged j
    where j.id is null
  )
  select count(*) filter (where j.is_new), count(*) filter (where j.differs and not j.is_new),
         count(*) filter (where not j.differs and not j.is_new)
  into inserted, updated, unchanged
  from judged j;
end
$$;
comment on function private.apply_subscribers(public.sync_jobs, public.sync_state, jsonb, timestamptz, timestamptz) is
  'Writes one page of the list of subscribers. inserted: fans who were not known to subscribe.';
revoke all on function private.apply_subscribers(public.sync_jobs, public.sync_state, jsonb, timestamptz, timestamptz) from public, anon, authenticated;
grant execute on function private.apply_subscribers(public.sync_jobs, public.sync_state, jsonb, timestamptz, timestamptz) to service_role;

create or replace function private.apply_followers(
  p_job public.sync_jobs, p_state public.sync_state, p_rows jsonb, p_now timestamptz,
  out inserted integer, out updated integer, out unchanged integer)
language plpgsql
set search_path = ''
set jit = off
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
  with listed as (
    select distinct on (x.fan_uuid) x.*
    from jsonb_to_recordset(p_rows) as x(
      fan_uuid text, handle text, display_name text, registered_at timestamptz, is_top_spender boolean)
    where x.fan_uuid is not null
    order by x.fan_uuid
  ), judged as (
    select l.fan_uuid, f.id, f.id is null or not f.is_follower as is_new,
           coalesce(l.handle, f.handle) as handle, coalesce(l.display_name, f.display_name) as display_name,
           coalesce(l.registered_at, f.registered_at) as registered_at, coalesce(l.is_top_spender, f.is_top_spender) as is_top_spender,
           case when p_state.walk_kind = 'full' then p_now else f.follower_seen_at end as seen_at,
           f.id is not null and (not f.is_follower
             or (coalesce(l.handle, f.handle), coalesce(l.display_name, f.display_name), coalesce(l.registered_at, f.registered_at),
                 coalesce(l.is_top_spender, f.is_top_spender))
                is distinct from (f.handle, f.display_name, f.registered_at, f.is_top_spender)) as differs
    from listed l
    -- one probe per row, fenced: a plan from when the table was short reads all the model's fans
    left join lateral (select x.*, x as before from public.fanvue_fans x
                       where x.model_id = p_job.model_id and x.fan_uuid = l.fan_uuid offset 0) f on true
  ), written as (
    update public.fanvue_fans f
    set handle = j.handle, display_name = j.display_name, registered_at = j.registered_at, is_top_spender = j.is_top_spender,
        is_follower = true, unfollowed_at = null, last_seen_at = p_now, follower_seen_at = j.seen_at, follower_missed_at = null
    from judged j
    where f.id = j.id and (j.differs or f.follower_missed_at is not null or p_state.walk_kind = 'full')
  ), added as (
    insert into public.fanvue_fans (agency_id, model_id, fan_uuid, handle, display_name, registered_at, is_top_spender, is_follower,
                                    first_seen_at, last_seen_at, follower_seen_at)
    select p_job.agency_id, p_job.model_id, j.fan_uuid, j.handle, j.display_name, j.registered_at, j.is_top_spender, true,
           p_now, p_now, j.seen_at
    from judged j
    where j.id is null
  )
  select count(*) filter (where j.is_new), count(*) filter (where j.differs and not j.is_new),
         count(*) filter (where not j.differs and not j.is_new)
  into inserted, updated, unchanged
  from judged j;
end
$$;
comment on function private.apply_followers(public.sync_jobs, public.sync_state, jsonb, timestamptz) is
  'Writes one page of the list of followers. inserted: fans who were not known to follow.';
revoke all on function private.apply_followers(public.sync_jobs, public.sync_state, jsonb, timestamptz) from public, anon, authenticated;
grant execute on function private.apply_followers(public.sync_jobs, public.sync_state, jsonb, timestamptz) to service_role;
