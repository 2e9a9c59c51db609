-- Purpose: the end of a complete reading of a list (subscribers, followers, posts): what it no longer names has ended,
-- unless the list is not to be believed.
-- Who may call: commit_sync_page (service_role), under the model's lock; operators call ops.accept_shrink.

create or replace function private.missing_of_list(p_state public.sync_state, out known integer, out missing uuid[])
language plpgsql
stable
set search_path = ''
as $$
begin
  -- What is older than the reading and was not on it. What an event told meanwhile is younger.
  case p_state.sync_type
    when 'subscribers' then
      select count(*), coalesce(array_agg(f.id) filter (
               where coalesce(f.subscriber_seen_at, '-infinity') < p_state.walk_started_at
                 and greatest(f.first_seen_at, coalesce(f.changed_at, '-infinity')) < p_state.walk_started_at), '{}')
      into known, missing
      from public.fanvue_fans f where f.model_id = p_state.model_id and f.is_subscriber;
    when 'followers' then
      select count(*), coalesce(array_agg(f.id) filter (
               where coalesce(f.follower_seen_at, '-infinity') < p_state.walk_started_at
                 and greatest(f.first_seen_at, coalesce(f.followed_at, '-infinity')) < p_state.walk_started_at), '{}')
      into known, missing
      from public.fanvue_fans f where f.model_id = p_state.model_id and f.is_follower;
    else
      select count(*), coalesce(array_agg(p.id) filter (
               where coalesce(p.seen_at, '-infinity') < p_state.walk_started_at
                 and p.first_seen_at < p_state.walk_started_at), '{}')
      into known, missing
      from public.fanvue_posts p where p.model_id = p_state.model_id and p.deleted_at is null;
  end case;
end
$$;
comment on function private.missing_of_list(public.sync_state) is 'How many rows of a list are known, and which of them the open complete reading did not name.';
revoke all on function private.missing_of_list(public.sync_state) from public, anon, authenticated;
grant execute on function private.missing_of_list(public.sync_state) to service_role;

create or replace function private.end_missing(p_state public.sync_state, p_missing uuid[], p_at_once boolean, p_now timestamptz)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_ended integer;
begin
  -- Numbered pages shift while they are read: what a reading of several pages missed once is looked for once more.
  case p_state.sync_type
    when 'subscribers' then
      update public.fanvue_fans f
      set is_subscriber = not (p_at_once or f.subscriber_missed_at is not null) and f.is_subscriber,
          ended_at = case when p_at_once or f.subscriber_missed_at is not null then least(f.expires_at, p_now) else f.ended_at end,
          end_reason = case when p_at_once or f.subscriber_missed_at is not null then 'no longer listed' else f.end_reason end,
          subscription_status = case when p_at_once or f.subscriber_missed_at is not null then null else f.subscription_status end,
          subscriber_missed_at = coalesce(f.subscriber_missed_at, p_now)
      where f.id = any (p_missing);
      select count(*) into v_ended from public.fanvue_fans f where f.id = any (p_missing) and not f.is_subscriber;
      update public.models m
      set subscribers_count = c.fans
      from (select count(*) as fans from public.fanvue_fans f where f.model_id = p_state.model_id and f.is_subscriber) c
      where m.id = p_state.model_id and m.subscribers_count is distinct from c.fans;
      update public.fanvue_accounts a
      set counted_subscribers = m.subscribers_count
      from public.models m where m.id = p_state.model_id and a.model_id = m.id;
    when 'followers' then
      update public.fanvue_fans f
      set is_follower = not (p_at_once or f.follower_missed_at is not null) and f.is_follower,
          unfollowed_at = case when p_at_once or f.follower_missed_at is not null then p_now else f.unfollowed_at end,
          follower_missed_at = coalesce(f.follower_missed_at, p_now)
      where f.id = any (p_missing);
      select count(*) into v_ended from public.fanvue_fans f where f.id = any (p_missing) and not f.is_follower;
      update public.models m
      set followers_count = c.fans
      from (select count(*) as fans from public.fanvue_fans f where f.model_id = p_state.model_id and f.is_follower) c
      where m.id = p_state.model_id and m.followers_count is distinct from c.fans;
      update public.fanvue_accounts a
      set counted_followers = m.followers_count
      from public.models m where m.id = p_state.model_id and a.model_id = m.id;
    else
      update public.fanvue_posts p
      set deleted_at = case when p_at_once or p.missed_at is not null then p_now end,
          missed_at = coalesce(p.missed_at, p_now)
      where p.id = any (p_missing);
      select count(*) into v_ended from public.fanvue_posts p where p.id = any (p_missing) and p.deleted_at is not null;
  end case;
  return v_ended;
end
$$;
comment on function private.end_missing(public.sync_state, uuid[], boolean, timestamptz) is
  'Ends what a complete reading did not name (at once, or at its second miss) and sets the counters anew. Returns how many ended.';
revoke all on function private.end_missing(public.sync_state, uuid[], boolean, timestamptz) from public, anon, authenticated;
grant execute on function private.end_missing(public.sync_state, uuid[], boolean, timestamptz) to service_role;

create or replace function private.close_list(
  p_state public.sync_state, p_settings private.sync_streams, p_now timestamptz, out ended integer, out again boolean, out refusal text)
language plpgsql
set search_path = ''
as $$
declare
  -- so few are not refused, whatever share of a short list they are: they are looked for once more
  v_few constant integer := 5;
  v_list record;
  v_count integer;
  v_accepted boolean := coalesce(p_state.shrink_accepted_at, '-infinity') >= p_now - interval '1 day';
begin
  select l.known, l.missing into v_list from private.missing_of_list(p_state) l;
  v_count := cardinality(v_list.missing);
  ended := 0;
  again := false;
  if v_count > greatest(v_few, p_settings.most_ended_share * v_list.known) and not v_accepted then
    refusal := format('Fanvue''s list of %s named %s fewer than the %s known: more than %s %% would end at once, so nobody was ended. '
                      'If the list is right: select ops.accept_shrink(%L, %L)',
                      p_state.sync_type, v_count, v_list.known, round(p_settings.most_ended_share * 100), p_state.model_id, p_state.sync_type);
    return;
  end if;
  -- Numbered pages shift while they are read, and a short list that comes back half empty looks like a few who left.
  ended := private.end_missing(p_state, v_list.missing,
                               p_state.walk_pages = 0 and (v_accepted or v_count <= greatest(1, p_settings.most_ended_share * v_list.known)), p_now);
  again := ended < v_count;
end
$$;
comment on function private.close_list(public.sync_state, private.sync_streams, timestamptz) is
  'Ends what a complete reading no longer named. again: something is to be looked for once more. refusal: why the list is not believed and nobody was ended.';
revoke all on function private.close_list(public.sync_state, private.sync_streams, timestamptz) from public, anon, authenticated;
grant execute on function private.close_list(public.sync_state, private.sync_streams, timestamptz) to service_role;

create or replace function ops.accept_shrink(p_model_id uuid, p_sync_type text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
begin
  if p_sync_type not in ('subscribers', 'followers', 'posts') then
    raise sqlstate 'PT422' using message = format('%L is no list that can shrink', p_sync_type), hint = 'subscribers, followers or posts';
  end if;
  update public.sync_state s
  set shrink_accepted_at = v_now, full_requested = true, whole_after = null,
      -- a stream that is not scheduled stays so
      next_sync_at = case when s.next_sync_at is not null then least(s.next_sync_at, v_now) end
  where s.model_id = p_model_id and s.sync_type = p_sync_type;
  if not found then
    raise sqlstate 'PT404' using message = format('model %s has no stream %s', p_model_id, p_sync_type),
      hint = 'ops.late names the model and the stream';
  end if;
  perform private.note_action('accept_shrink', format('%s of model %s', p_sync_type, p_model_id),
                              jsonb_build_object('model_id', p_model_id, 'sync_type', p_sync_type), jsonb_build_object('accepted_until', v_now + interval '1 day'));
  return jsonb_build_object('model_id', p_model_id, 'sync_type', p_sync_type, 'accepted_until', v_now + interval '1 day');
end
$$;
comment on function ops.accept_shrink(uuid, text) is
  'Says that a list which ends many fans or posts is right: the list is read again at the next tick and believed, for one day. Safe to repeat.';
revoke all on function ops.accept_shrink(uuid, text) from public, anon, authenticated;
grant execute on function ops.accept_shrink(uuid, text) to service_role;
