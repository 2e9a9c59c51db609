-- Purpose: fans and messages as webhooks tell of them: in any order, more than once, to one end.
-- Who may call: private.apply_event, under the model's lock.
-- Locks: the rows of one fan or message. Planned anew each time: a plan from when the tables were short reads all of a model.

create or replace function private.require_moment(p_at timestamptz, p_now timestamptz)
returns void
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- it would stay the newest for ever; Fanvue is no older than this
  if p_at > p_now + interval '1 day' then
    raise exception 'the event''s time % lies in the future', to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');
  elsif p_at < timestamptz '2020-01-01T00:00:00Z' then
    raise exception 'the event''s time % is before Fanvue began', to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');
  end if;
end
$$;
comment on function private.require_moment(timestamptz, timestamptz) is
  'Refuses an event''s time that cannot be: more than a day ahead, or before 2020. No time at all is the caller''s to judge.';
revoke all on function private.require_moment(timestamptz, timestamptz) from public, anon, authenticated;
grant execute on function private.require_moment(timestamptz, timestamptz) to service_role;

create or replace function private.apply_fan(p_model public.models, p_fan_uuid text, e private.webhook_facts, p_at timestamptz, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
set plan_cache_mode = force_custom_plan
as $$
declare
  v_since timestamptz := coalesce(e.happened_at, p_at);
  v_ends timestamptz;
  -- of one instant: what begins weighs more than what ends, since a change of plan is told as both
  v_by constant text := case e.kind when 'unsubscribed' then '1' when 'renewal' then '2' when 'payment' then '3' when 'subscribed' then '4' end
                        || ' ' || e.event_id;
  v_cancels constant boolean := case when e.kind <> 'payment' and jsonb_typeof(e.data -> 'cancel_at_period_end') = 'boolean'
                                     then (e.data -> 'cancel_at_period_end')::boolean end;
  v_renews_by constant text := case when v_cancels is not null then to_char(p_at at time zone 'UTC', 'YYYYMMDDHH24MISSUS') || ' ' || v_by end;
begin
  insert into public.fanvue_fans (agency_id, model_id, fan_uuid, first_seen_at, last_seen_at)
  values (p_model.agency_id, p_model.id, p_fan_uuid, p_now, p_now)
  on conflict (model_id, fan_uuid) do nothing;
  -- what only ever gathers, whenever it is heard of
  update public.fanvue_fans f
  set handle = coalesce(e.fan ->> 'handle', f.handle),
      display_name = coalesce(e.fan ->> 'display_name', e.fan ->> 'displayName', f.display_name),
      -- a follow that came before the list stopped naming the fan is over
      is_follower = f.is_follower or (e.kind = 'follow' and v_since > coalesce(f.unfollowed_at, '-infinity')),
      unfollowed_at = case when e.kind = 'follow' and v_since > f.unfollowed_at then null else f.unfollowed_at end,
      follower_seen_at = case when e.kind = 'follow' then p_now else f.follower_seen_at end,
      follower_missed_at = case when e.kind <> 'follow' then f.follower_missed_at end,
      followed_at = least(f.followed_at, case when e.kind = 'follow' then e.happened_at end),
      subscribed_at = least(f.subscribed_at, case when e.kind in ('subscribed', 'payment') then e.happened_at end),
      subscription_id = coalesce(f.subscription_id, case when e.kind <> 'payment' then e.data ->> 'id' end),
      read_until = greatest(f.read_until, case when e.kind = 'read' then p_at end),
      -- a subscription that is cancelled runs to the end of its period
      auto_renews = case when v_renews_by >= coalesce(f.auto_renews_by, '') then not v_cancels else f.auto_renews end,
      auto_renews_by = greatest(f.auto_renews_by, v_renews_by),
      last_seen_at = greatest(f.last_seen_at, p_now)
  where f.model_id = p_model.id and f.fan_uuid = p_fan_uuid;
  if e.kind in ('subscribed', 'unsubscribed', 'renewal', 'payment') then
    v_ends := private.as_moment(e.data ->> 'expires_at');
    -- what the newest event decides, whichever arrives last
    update public.fanvue_fans f
    set is_subscriber = r.runs,
        subscription_id = coalesce(case when e.kind <> 'payment' then e.data ->> 'id' end, f.subscription_id),
        subscription_status = case e.kind when 'payment' then null when 'renewal' then coalesce(e.data ->> 'status', f.subscription_status)
                                          else e.data ->> 'status' end,
        expires_at = case when e.kind = 'renewal' then coalesce(v_ends, f.expires_at) else v_ends end,
        -- heard of just now: a reading under way that does not name the fan is older
        subscriber_seen_at = p_now,
        subscriber_missed_at = null,
        ended_at = case when e.kind = 'unsubscribed' then p_at when not r.runs then f.ended_at end,
        end_reason = case when e.kind = 'unsubscribed' then e.data ->> 'deactivation_reason' when not r.runs then f.end_reason end,
        changed_at = p_at,
        changed_by = v_by
    -- whether it renews says that it runs, even where its beginning was not heard of
    from (select x.id, case e.kind when 'unsubscribed' then false
                                   when 'renewal' then x.is_subscriber or coalesce(v_ends > p_at, e.data ->> 'status' = 'active', false)
                                   else true end as runs
          from public.fanvue_fans x
          where x.model_id = p_model.id and x.fan_uuid = p_fan_uuid) r
    where f.id = r.id and (p_at, v_by) >= (coalesce(f.changed_at, '-infinity'), coalesce(f.changed_by, ''));
  end if;
end
$$;
comment on function private.apply_fan(public.models, text, private.webhook_facts, timestamptz, timestamptz) is
  'Applies a follow, a subscription or a read to a fan''s row. e: what private.read_event read.';
revoke all on function private.apply_fan(public.models, text, private.webhook_facts, timestamptz, timestamptz) from public, anon, authenticated;
grant execute on function private.apply_fan(public.models, text, private.webhook_facts, timestamptz, timestamptz) to service_role;

create or replace function private.apply_message(p_model public.models, p_fan_uuid text, e private.webhook_facts, p_body text, p_at timestamptz, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
set plan_cache_mode = force_custom_plan
as $$
declare
  v_sender text := case when e.topic = 'creator.message.sent' or e.data ->> 'sender' = 'creator' then 'creator' else 'fan' end;
  v_sent_at timestamptz := coalesce(e.happened_at, p_at);
begin
  if e.message_uuid is null then
    raise exception 'the event names no message';
  end if;
  insert into public.fanvue_messages as m (agency_id, model_id, message_uuid, fan_uuid, sender, body, sent_at, read_at, deleted_at, created_at)
  values (
    p_model.agency_id, p_model.id, e.message_uuid, p_fan_uuid, v_sender,
    case when e.kind = 'message' and private.keeps_text(p_model) then p_body end, v_sent_at,
    -- a read that was faster than its message
    case when v_sender = 'fan' then (select f.read_until from public.fanvue_fans f
                                     where f.model_id = p_model.id and f.fan_uuid = p_fan_uuid and f.read_until >= v_sent_at) end,
    case when e.kind = 'deleted' then coalesce(private.as_moment(e.data ->> 'deleted_at'), p_at) end, p_now)
  on conflict (model_id, message_uuid) do update
    -- a deletion that was faster than its message stays a deletion, and what is deleted keeps no text
    set deleted_at = coalesce(m.deleted_at, excluded.deleted_at),
        body = case when coalesce(m.deleted_at, excluded.deleted_at) is null then coalesce(excluded.body, m.body) end;
end
$$;
comment on function private.apply_message(public.models, text, private.webhook_facts, text, timestamptz, timestamptz) is
  'Applies a message or its deletion. e: what private.read_event read.';
revoke all on function private.apply_message(public.models, text, private.webhook_facts, text, timestamptz, timestamptz) from public, anon, authenticated;
grant execute on function private.apply_message(public.models, text, private.webhook_facts, text, timestamptz, timestamptz) to service_role;

create or replace function private.apply_audience(
  p_event public.webhook_events, e private.webhook_facts, p_text text, p_model public.models, p_now timestamptz)
returns text
language plpgsql
set search_path = ''
set plan_cache_mode = force_custom_plan
as $$
declare
  v_fan constant text := e.fan ->> 'uuid';
  v_at timestamptz;
begin
  if v_fan is null then
    raise exception 'the event names no fan';
  end if;
  v_at := coalesce(private.as_moment(p_event.payload ->> 'timestamp'), e.happened_at, p_event.received_at);
  perform private.require_moment(v_at, p_now);
  perform private.require_moment(e.happened_at, p_now);
  if e.kind in ('message', 'deleted') then
    perform private.apply_message(p_model, v_fan, e, p_text, v_at, p_now);
  elsif e.kind <> 'read' then
    perform private.apply_fan(p_model, v_fan, e, v_at, p_now);
  elsif e.message_uuid is not null then
    -- the flat form names the message
    update public.fanvue_messages m
    set read_at = v_at
    where m.model_id = p_model.id and m.message_uuid = e.message_uuid and m.read_at is null;
  elsif coalesce(e.data ->> 'unread_messages_count', '0') = '0' then
    -- the creator has read everything this fan wrote
    perform private.apply_fan(p_model, v_fan, e, v_at, p_now);
    update public.fanvue_messages m
    set read_at = v_at
    where m.model_id = p_model.id and m.fan_uuid = v_fan and m.sender = 'fan' and m.read_at is null and m.sent_at <= v_at;
  end if;
  return 'applied';
end
$$;
comment on function private.apply_audience(public.webhook_events, private.webhook_facts, text, public.models, timestamptz) is
  'Applies follows, subscriptions, messages, reads and deletions, in whatever order they come. p_text: what a message said, which the event does not keep.';
revoke all on function private.apply_audience(public.webhook_events, private.webhook_facts, text, public.models, timestamptz) from public, anon, authenticated;
grant execute on function private.apply_audience(public.webhook_events, private.webhook_facts, text, public.models, timestamptz) to service_role;
