-- Purpose: what pages of posts, the snapshot of top fans and the account's figures change.
-- Who may call: commit_sync_page (service_role), under the model's lock.

create or replace function private.apply_posts(
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
    select distinct on (x.post_uuid) x.*
    from jsonb_to_recordset(p_rows) as x(
      post_uuid text, at timestamptz, body text, price numeric(14, 2), audience text, publish_at timestamptz, published_at timestamptz,
      expires_at timestamptz, is_pinned boolean, likes integer, comments integer, tips integer, tips_gross numeric(14, 2), tips_net numeric(14, 2))
    where x.post_uuid is not null
    order by x.post_uuid
  ), judged as (
    select l.*, p.id,
           coalesce(l.likes, p.likes) as likes_now, coalesce(l.comments, p.comments) as comments_now, coalesce(l.tips, p.tips) as tips_now,
           coalesce(l.tips_gross, p.tips_gross) as gross_now, coalesce(l.tips_net, p.tips_net) as net_now,
           case when p_state.walk_kind = 'full' then p_now else p.seen_at end as seen_now,
           p.id is not null and
           (l.body, l.price, l.audience, l.publish_at, l.published_at, l.expires_at, l.is_pinned, coalesce(l.likes, p.likes),
            coalesce(l.comments, p.comments), coalesce(l.tips, p.tips), coalesce(l.tips_gross, p.tips_gross), coalesce(l.tips_net, p.tips_net), null)
           is distinct from
           (p.body, p.price, p.audience, p.publish_at, p.published_at, p.expires_at, p.is_pinned, p.likes,
            p.comments, p.tips, p.tips_gross, p.tips_net, p.deleted_at) as differs
    from listed l
    -- one probe per row, fenced: a plan from when the table was short reads all the model's posts
    left join lateral (select x.* from public.fanvue_posts x
                       where x.model_id = p_job.model_id and x.post_uuid = l.post_uuid offset 0) p on true
  ), written as (
    update public.fanvue_posts p
    set body = j.body, price = j.price, audience = j.audience, publish_at = j.publish_at, published_at = j.published_at,
        expires_at = j.expires_at, is_pinned = j.is_pinned, likes = j.likes_now, comments = j.comments_now, tips = j.tips_now,
        tips_gross = j.gross_now, tips_net = j.net_now, deleted_at = null, missed_at = null, seen_at = j.seen_now,
        synced_at = case when j.differs then p_now else p.synced_at end
    from judged j
    where p.id = j.id and (j.differs or p.missed_at is not null or p_state.walk_kind = 'full')
  ), added as (
    insert into public.fanvue_posts (agency_id, model_id, post_uuid, body, price, audience, is_pinned, likes, comments, tips, tips_gross,
      tips_net, fanvue_created_at, publish_at, published_at, expires_at, seen_at, first_seen_at, synced_at)
    select p_job.agency_id, p_job.model_id, j.post_uuid, j.body, j.price, j.audience, j.is_pinned, j.likes, j.comments, j.tips, j.tips_gross,
           j.tips_net, j.at, j.publish_at, j.published_at, j.expires_at, j.seen_now, p_now, p_now
    from judged j
    where j.id is null
  )
  select count(*) filter (where j.id is null), count(*) filter (where j.differs), count(*) filter (where j.id is not null and not j.differs)
  into inserted, updated, unchanged
  from judged j;
end
$$;
comment on function private.apply_posts(public.sync_jobs, public.sync_state, jsonb, timestamptz) is 'Writes one page of the list of posts, counters included.';
revoke all on function private.apply_posts(public.sync_jobs, public.sync_state, jsonb, timestamptz) from public, anon, authenticated;
grant execute on function private.apply_posts(public.sync_jobs, public.sync_state, jsonb, timestamptz) to service_role;

create or replace function private.apply_top_fans(
  p_job public.sync_jobs, p_rows jsonb, p_at timestamptz, p_now timestamptz,
  out inserted integer, out updated integer, out unchanged integer)
language plpgsql
set search_path = ''
set jit = off
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  v_day date := (p_at at time zone 'UTC')::date;
begin
  with listed as (
    select distinct on (x.fan_uuid) x.*
    from jsonb_to_recordset(p_rows) as x(
      fan_uuid text, rank integer, gross numeric(14, 2), net numeric(14, 2), messages integer, handle text, display_name text)
    where x.fan_uuid is not null
    order by x.fan_uuid, x.rank
  ), dropped as (
    -- the snapshot of a day is its last one
    delete from public.fanvue_top_fans t
    where t.model_id = p_job.model_id and t.day = v_day and not exists (select from listed l where l.fan_uuid = t.fan_uuid)
    returning t.fan_uuid
  ), written as (
    insert into public.fanvue_top_fans as t (agency_id, model_id, day, rank, fan_uuid, handle, display_name, gross, net, messages, synced_at)
    select p_job.agency_id, p_job.model_id, v_day, l.rank, l.fan_uuid, l.handle, l.display_name, l.gross, l.net, l.messages, p_now
    from listed l
    on conflict (model_id, day, fan_uuid) do update
      set rank = excluded.rank, handle = coalesce(excluded.handle, t.handle), display_name = coalesce(excluded.display_name, t.display_name),
          gross = coalesce(excluded.gross, t.gross), net = coalesce(excluded.net, t.net), messages = excluded.messages, synced_at = excluded.synced_at
      where (t.rank, t.gross, t.net, t.messages, t.handle, t.display_name) is distinct from
            (excluded.rank, coalesce(excluded.gross, t.gross), coalesce(excluded.net, t.net), excluded.messages, coalesce(excluded.handle, t.handle), coalesce(excluded.display_name, t.display_name))
    returning t.fan_uuid
  ), known as (
    select t.fan_uuid from public.fanvue_top_fans t where t.model_id = p_job.model_id and t.day = v_day
  )
  select count(*) filter (where k.fan_uuid is null),
         count(*) filter (where k.fan_uuid is not null and w.fan_uuid is not null) + (select count(*) from dropped),
         count(*) filter (where w.fan_uuid is null)
  into inserted, updated, unchanged
  from listed l
  left join known k on k.fan_uuid = l.fan_uuid
  left join written w on w.fan_uuid = l.fan_uuid;
end
$$;
comment on function private.apply_top_fans(public.sync_jobs, jsonb, timestamptz, timestamptz) is 'Makes the list the snapshot of Fanvue''s present day.';
revoke all on function private.apply_top_fans(public.sync_jobs, jsonb, timestamptz, timestamptz) from public, anon, authenticated;
grant execute on function private.apply_top_fans(public.sync_jobs, jsonb, timestamptz, timestamptz) to service_role;

create or replace function private.explain_count(
  p_model_id uuid, p_sync_type text, p_theirs integer, p_before integer, p_ours integer, p_counted integer, p_now timestamptz)
returns integer
language plpgsql
set search_path = ''
as $$
begin
  if p_theirs is null or p_theirs is not distinct from p_before then
    -- It has not moved. Ours may have, and their figure follows later.
    return coalesce(p_counted, p_ours);
  end if;
  -- Some lists and figures never agree: only a move that is not ours tells something.
  if p_theirs <> p_ours and p_theirs - p_before <> p_ours - p_counted then
    if exists (select from public.sync_state s
               where s.model_id = p_model_id and s.sync_type = p_sync_type
                 -- a long list costs a call for every fifty fans: a call a minute on the average, however lively the figure
                 and s.last_full_at > p_now - make_interval(mins => p_ours / 50)) then
      -- what is not explained now is compared again with the next move
      return p_counted + p_theirs - p_before;
    end if;
    update public.sync_state s
    set full_requested = true, quiet_runs = 0, next_sync_at = least(s.next_sync_at, p_now)
    where s.model_id = p_model_id and s.sync_type = p_sync_type and s.next_sync_at is not null and not s.full_requested
      -- while it is read for the first time, our rows move by themselves
      and s.last_full_at is not null;
  end if;
  return p_ours;
end
$$;
comment on function private.explain_count(uuid, text, integer, integer, integer, integer, timestamptz) is
  'Has a list of fans read to its end when Fanvue''s count of them moved by something else than our rows did. Returns our count to compare the next move with.';
revoke all on function private.explain_count(uuid, text, integer, integer, integer, integer, timestamptz) from public, anon, authenticated;
grant execute on function private.explain_count(uuid, text, integer, integer, integer, integer, timestamptz) to service_role;

create or replace function private.apply_account(
  p_job public.sync_jobs, p_rows jsonb, p_now timestamptz, out inserted integer, out updated integer, out unchanged integer)
language plpgsql
set search_path = ''
as $$
declare
  v_new record;
  v_old public.fanvue_accounts;
  v_model public.models;
begin
  inserted := 0;
  updated := 0;
  unchanged := 0;
  select x.* into v_new
  from jsonb_to_record(p_rows -> 0) as x(status text, total_gross numeric(16, 2), available_balance numeric(16, 2), last_payout_at timestamptz,
                                         followers integer, subscribers integer, handle text, display_name text);
  if p_rows -> 0 is null then
    return;
  end if;
  select m.* into v_model from public.models m where m.id = p_job.model_id;
  if (coalesce(v_new.handle, v_model.handle), coalesce(v_new.display_name, v_model.display_name))
     is distinct from (v_model.handle, v_model.display_name) then
    update public.models m
    set handle = coalesce(v_new.handle, m.handle), display_name = coalesce(v_new.display_name, m.display_name)
    where m.id = p_job.model_id;
  end if;
  select a.* into v_old from public.fanvue_accounts a where a.model_id = p_job.model_id;
  if v_old.model_id is null then
    insert into public.fanvue_accounts (model_id, agency_id, status, total_gross, available_balance, last_payout_at, subscribers,
                                        followers, counted_subscribers, counted_followers, synced_at)
    values (p_job.model_id, p_job.agency_id, v_new.status, v_new.total_gross, v_new.available_balance, v_new.last_payout_at,
            v_new.subscribers, v_new.followers, v_model.subscribers_count, v_model.followers_count, p_now);
    inserted := 1;
    return;
  end if;
  -- followers first: the order in which a settlement of several jobs takes their states
  v_old.counted_followers := private.explain_count(p_job.model_id, 'followers', v_new.followers, v_old.followers,
                                                   v_model.followers_count, v_old.counted_followers, p_now);
  v_old.counted_subscribers := private.explain_count(p_job.model_id, 'subscribers', v_new.subscribers, v_old.subscribers,
                                                     v_model.subscribers_count, v_old.counted_subscribers, p_now);
  v_new.followers := coalesce(v_new.followers, v_old.followers);
  v_new.subscribers := coalesce(v_new.subscribers, v_old.subscribers);
  -- what this answer does not say stays as it was said last
  v_new.status := coalesce(v_new.status, v_old.status);
  v_new.total_gross := coalesce(v_new.total_gross, v_old.total_gross);
  v_new.available_balance := coalesce(v_new.available_balance, v_old.available_balance);
  v_new.last_payout_at := coalesce(v_new.last_payout_at, v_old.last_payout_at);
  update public.fanvue_accounts a
  set status = v_new.status, total_gross = v_new.total_gross, available_balance = v_new.available_balance,
      last_payout_at = v_new.last_payout_at, subscribers = v_new.subscribers, followers = v_new.followers,
      counted_subscribers = v_old.counted_subscribers, counted_followers = v_old.counted_followers, synced_at = p_now
  where a.model_id = p_job.model_id
    and (a.status, a.total_gross, a.available_balance, a.last_payout_at, a.subscribers, a.followers, a.counted_subscribers, a.counted_followers)
        is distinct from
        (v_new.status, v_new.total_gross, v_new.available_balance, v_new.last_payout_at, v_new.subscribers, v_new.followers,
         v_old.counted_subscribers, v_old.counted_followers);
  get diagnostics updated = row_count;
  unchanged := 1 - updated;
end
$$;
comment on function private.apply_account(public.sync_jobs, jsonb, timestamptz) is
  'Writes the account''s figures; when Fanvue''s count of fans moved by something else than our rows did, the list concerned is read to its end.';
revoke all on function private.apply_account(public.sync_jobs, jsonb, timestamptz) from public, anon, authenticated;
grant execute on function private.apply_account(public.sync_jobs, jsonb, timestamptz) to service_role;
