-- Purpose: what pages of chats and messages change, and which chats are to be read next.
-- Who may call: commit_sync_page and begin_sync_walk (service_role), under the model's lock.

create or replace function private.apply_chats(
  p_job public.sync_jobs, p_rows jsonb, p_now timestamptz, out inserted integer, out updated integer, out unchanged integer)
language plpgsql
set search_path = ''
set jit = off
set plan_cache_mode = force_custom_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
begin
  -- What was read by the other side needs no call: the list says so itself.
  -- Probe by probe, fenced: a plan from when the tables were short reads everything of the model.
  update public.fanvue_messages m
  set read_at = p_now
  where m.id = any (array(
    select r.id
    from jsonb_to_recordset(p_rows) as x(fan_uuid text, at timestamptz, last_message_uuid text, unread integer)
    cross join lateral (select from public.fanvue_chats c
                        where x.unread = 0 and c.model_id = p_job.model_id and c.fan_uuid = x.fan_uuid and c.unread_count > 0
                          and c.last_message_uuid = x.last_message_uuid offset 0) c
    cross join lateral (select y.id from public.fanvue_messages y
                        where y.model_id = p_job.model_id and y.fan_uuid = x.fan_uuid and y.sent_at <= x.at
                          and y.sender = 'fan' and y.read_at is null offset 0) r
    union
    select r.id
    from jsonb_to_recordset(p_rows) as x(last_message_uuid text, last_message_read boolean)
    cross join lateral (select y.id from public.fanvue_messages y
                        where x.last_message_read and y.model_id = p_job.model_id and y.message_uuid = x.last_message_uuid
                          and y.sender = 'creator' and y.read_at is null offset 0) r
  ));

  with listed as (
    select distinct on (x.fan_uuid) x.*
    from jsonb_to_recordset(p_rows) as x(
      fan_uuid text, at timestamptz, last_message_uuid text, unread integer, is_muted boolean, handle text, display_name text, created_at timestamptz,
      undated boolean)
    where x.fan_uuid is not null
    order by x.fan_uuid, x.at desc nulls last
  ), judged as (
    select l.fan_uuid, c.id, coalesce(l.handle, c.handle) as handle, coalesce(l.display_name, c.display_name) as display_name,
           coalesce(l.at, c.last_message_at) as last_message_at, coalesce(l.last_message_uuid, c.last_message_uuid) as last_message_uuid,
           coalesce(l.unread, c.unread_count) as unread_count, coalesce(l.is_muted, c.is_muted) as is_muted,
           coalesce(l.created_at, c.fanvue_created_at) as fanvue_created_at,
           -- a message that a webhook brought is news all the same: only the list knows its type, price and media
           case when l.at is not null
                then c.id is null or (l.at, coalesce(l.last_message_uuid, c.last_message_uuid)) is distinct from (c.last_message_at, c.last_message_uuid)
                -- its last message has no date that can be read: it is looked at, unless that message is the one known
                else coalesce(l.undated, false)
                     and (c.id is null or l.last_message_uuid is null or l.last_message_uuid is distinct from c.last_message_uuid) end as has_news,
           l.at is null and not coalesce(l.undated, false) as is_empty, c.before
    from listed l
    left join lateral (select x.*, x as before from public.fanvue_chats x
                       where x.model_id = p_job.model_id and x.fan_uuid = l.fan_uuid offset 0) c on true
  ), differing as (
    select j.*, j.id is not null
                and (j.has_news
                     or (j.handle, j.display_name, j.unread_count, j.is_muted, j.fanvue_created_at) is distinct from
                        ((j.before).handle, (j.before).display_name, (j.before).unread_count, (j.before).is_muted, (j.before).fanvue_created_at)) as differs
    from judged j
  ), written as (
    update public.fanvue_chats c
    set handle = d.handle, display_name = d.display_name, last_message_at = d.last_message_at, last_message_uuid = d.last_message_uuid,
        unread_count = d.unread_count, is_muted = d.is_muted, fanvue_created_at = d.fanvue_created_at, pending = c.pending or d.has_news,
        history_done = c.history_done and not (d.has_news and c.known_until is null)
    from differing d
    where c.id = d.id and d.differs
  ), added as (
    insert into public.fanvue_chats (agency_id, model_id, fan_uuid, handle, display_name, last_message_at, last_message_uuid,
                                     unread_count, is_muted, fanvue_created_at, pending, history_done, first_seen_at)
    select p_job.agency_id, p_job.model_id, d.fan_uuid, d.handle, d.display_name, d.last_message_at, d.last_message_uuid,
           d.unread_count, d.is_muted, d.fanvue_created_at, d.has_news, d.is_empty, p_now
    from differing d
    where d.id is null
  )
  select count(*) filter (where d.id is null), count(*) filter (where d.differs), count(*) filter (where d.id is not null and not d.differs)
  into inserted, updated, unchanged
  from differing d;
end
$$;
comment on function private.apply_chats(public.sync_jobs, jsonb, timestamptz) is
  'Writes one page of the list of chats and marks the chats that have news as pending.';
revoke all on function private.apply_chats(public.sync_jobs, jsonb, timestamptz) from public, anon, authenticated;
grant execute on function private.apply_chats(public.sync_jobs, jsonb, timestamptz) to service_role;

create or replace function private.apply_messages(
  p_job public.sync_jobs, p_fan_uuid text, p_rows jsonb, p_keep_text boolean, p_now timestamptz,
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
    select distinct on (x.message_uuid) x.*
    from jsonb_to_recordset(p_rows) as x(
      message_uuid text, at timestamptz, sender text, body text, type text, has_media boolean, media_type text, media_count integer,
      price numeric(14, 2), purchased_at timestamptz, is_read boolean)
    where x.message_uuid is not null
    order by x.message_uuid
  ), judged as (
    select l.message_uuid, l.at, l.sender, m.id,
           -- what was deleted keeps no text
           case when p_keep_text and m.deleted_at is null then coalesce(l.body, m.body) else m.body end as body,
           coalesce(l.type, m.type) as type, coalesce(l.has_media, m.has_media) as has_media,
           coalesce(l.media_type, m.media_type) as media_type, coalesce(l.media_count, m.media_count) as media_count,
           coalesce(l.price, m.price) as price, coalesce(l.purchased_at, m.purchased_at) as purchased_at,
           coalesce(m.read_at, case when l.is_read then p_now end) as read_at, m.before
    from listed l
    -- one probe per row, fenced: a plan from when the table was short reads all the model's messages
    left join lateral (select x.*, x as before from public.fanvue_messages x
                       where x.model_id = p_job.model_id and x.message_uuid = l.message_uuid offset 0) m on true
  ), differing as (
    select j.*, j.id is not null
                and (j.body, j.type, j.has_media, j.media_type, j.media_count, j.price, j.purchased_at, j.read_at, j.at) is distinct from
                    ((j.before).body, (j.before).type, (j.before).has_media, (j.before).media_type, (j.before).media_count,
                     (j.before).price, (j.before).purchased_at, (j.before).read_at, (j.before).sent_at) as differs
    from judged j
  ), written as (
    update public.fanvue_messages m
    set body = d.body, type = d.type, has_media = d.has_media, media_type = d.media_type, media_count = d.media_count,
        price = d.price, purchased_at = d.purchased_at, read_at = d.read_at, sent_at = d.at
    from differing d
    where m.id = d.id and d.differs
  ), added as (
    insert into public.fanvue_messages (agency_id, model_id, message_uuid, fan_uuid, sender, body, type, has_media, media_type,
                                        media_count, price, sent_at, purchased_at, read_at, created_at)
    select p_job.agency_id, p_job.model_id, d.message_uuid, p_fan_uuid, d.sender, d.body, d.type, d.has_media, d.media_type,
           d.media_count, d.price, d.at, d.purchased_at, d.read_at, p_now
    from differing d
    where d.id is null
  )
  select count(*) filter (where d.id is null), count(*) filter (where d.differs), count(*) filter (where d.id is not null and not d.differs)
  into inserted, updated, unchanged
  from differing d;
end
$$;
comment on function private.apply_messages(public.sync_jobs, text, jsonb, boolean, timestamptz) is 'Writes one page of a chat''s messages.';
revoke all on function private.apply_messages(public.sync_jobs, text, jsonb, boolean, timestamptz) from public, anon, authenticated;
grant execute on function private.apply_messages(public.sync_jobs, text, jsonb, boolean, timestamptz) to service_role;

create or replace function private.turn_chat(p_job public.sync_jobs, p_page jsonb)
returns void
language sql
set search_path = ''
as $$
  update public.fanvue_chats c
  set pending = case when n.live and n.done then false else c.pending end,
      known_until = case when not n.live then c.known_until
                         -- of a chat that was never read one page is enough: the history goes on below it
                         when c.known_until is null or n.done then coalesce(greatest(c.known_until, c.live_newest, n.newest), c.last_message_at, c.first_seen_at)
                         else c.known_until end,
      live_newest = case when n.live and not n.done then greatest(c.live_newest, n.newest) when n.live then null else c.live_newest end,
      live_cursor = case when n.live and not n.done then n.cursor when n.live then null else c.live_cursor end,
      history_cursor = case when n.live and c.known_until is not null then c.history_cursor
                            when n.live or not n.done then n.cursor end,
      history_done = case when n.live and c.known_until is not null then c.history_done
                          when n.live then n.cursor is null
                          else c.history_done or n.done end
  from (select p_page ->> 'chat' as fan_uuid, coalesce(p_page ->> 'phase', '') = 'talk' as live,
               coalesce((p_page ->> 'chat_done')::boolean, false) as done, p_page ->> 'chat_cursor' as cursor,
               (select max((r ->> 'at')::timestamptz) from jsonb_array_elements(coalesce(p_page -> 'rows', '[]')) r) as newest) n
  where c.model_id = p_job.model_id and c.fan_uuid = n.fan_uuid
$$;
comment on function private.turn_chat(public.sync_jobs, jsonb) is 'Notes how far a chat is read after one page of it.';
revoke all on function private.turn_chat(public.sync_jobs, jsonb) from public, anon, authenticated;
grant execute on function private.turn_chat(public.sync_jobs, jsonb) to service_role;

create or replace function private.chats_to_read(p_model_id uuid, p_sync_type text, p_skipped jsonb default '[]')
returns jsonb
-- plpgsql: planned once a session; each page of messages asks
language plpgsql
stable
set search_path = ''
-- in the order of the index, however few chats there were when the plan was made
set enable_seqscan = off
set enable_bitmapscan = off
as $$
begin
  case p_sync_type
    when 'messages' then
      return (
        select coalesce(jsonb_agg(jsonb_build_object('fan_uuid', x.fan_uuid, 'known_until', x.known_until, 'cursor', x.live_cursor)
                                  order by x.live_cursor is null, x.last_message_at desc), '[]')
        from (select c.fan_uuid, c.known_until, c.live_cursor, c.last_message_at
              from public.fanvue_chats c
              where c.model_id = p_model_id and c.pending and not coalesce(p_skipped ? c.fan_uuid, false)
              order by c.last_message_at desc
              limit 20) x);
    when 'message_history' then
      return (
        select coalesce(jsonb_agg(jsonb_build_object('fan_uuid', x.fan_uuid, 'known_until', x.known_until, 'cursor', x.history_cursor)
                                  order by x.last_message_at desc), '[]')
        from (select c.fan_uuid, c.known_until, c.history_cursor, c.last_message_at
              from public.fanvue_chats c
              where c.model_id = p_model_id and not c.history_done and c.known_until is not null
                and not coalesce(p_skipped ? c.fan_uuid, false)
              order by c.last_message_at desc
              limit 20) x);
    else
      raise sqlstate 'PT422' using message = format('stream %L reads no chats', p_sync_type);
  end case;
end
$$;
comment on function private.chats_to_read(uuid, text, jsonb) is
  'The next chats whose news (messages) or older messages (message_history) are to be read, at most twenty, the liveliest first. p_skipped: chats that the open walk gave up on.';
revoke all on function private.chats_to_read(uuid, text, jsonb) from public, anon, authenticated;
grant execute on function private.chats_to_read(uuid, text, jsonb) to service_role;

create or replace function private.forget_reading(p_model_id uuid)
returns void
language sql
set search_path = ''
as $$
  -- A page that was read before this must not say where a chat goes on after it: the walks over its chats begin anew.
  -- First the states, then the chats: the order of every page commit.
  update public.sync_state s
  set walk_id = null, walk_kind = null, version = s.version + 1
  where s.model_id = p_model_id and s.sync_type in ('messages', 'message_history') and s.walk_id is not null;
  update public.fanvue_chats c
  set known_until = null, live_cursor = null, live_newest = null, history_cursor = null, history_done = c.last_message_at is null,
      pending = c.last_message_at is not null
  where c.model_id = p_model_id
$$;
comment on function private.forget_reading(uuid) is 'Makes every chat of a model be read again from its newest to its first message. Stored messages stay.';
revoke all on function private.forget_reading(uuid) from public, anon, authenticated;
grant execute on function private.forget_reading(uuid) to service_role;

create or replace function ops.erase_message_texts(p_agency_id uuid, p_model_id uuid default null)
returns integer
language plpgsql
set search_path = ''
as $$
declare
  v_count integer;
begin
  if not exists (select from public.agencies a where a.id = p_agency_id)
     or (p_model_id is not null and not exists (select from public.models m where m.id = p_model_id and m.agency_id = p_agency_id)) then
    raise sqlstate 'PT404' using message = coalesce('no model ' || p_model_id || ' in agency ' || p_agency_id, 'no agency ' || p_agency_id),
      hint = 'ops.queue_health lists the agencies, public.model_overview the models';
  end if;
  update public.fanvue_messages m
  set body = null
  where m.agency_id = p_agency_id and (p_model_id is null or m.model_id = p_model_id) and m.body is not null;
  get diagnostics v_count = row_count;
  if v_count > 0 then
    perform private.note_action('erase_message_texts', coalesce('model ' || p_model_id, 'agency ' || p_agency_id),
                                jsonb_build_object('agency_id', p_agency_id, 'model_id', p_model_id), jsonb_build_object('messages', v_count));
  end if;
  return v_count;
end
$$;
comment on function ops.erase_message_texts(uuid, uuid) is
  'Removes the texts of all messages of an agency, or of one of its models; who, when and price stay. '
  'Switch keep_text off first (private.sync_overrides), or they come back. Returns how many messages had one. Safe to repeat.';
revoke all on function ops.erase_message_texts(uuid, uuid) from public, anon, authenticated;
grant execute on function ops.erase_message_texts(uuid, uuid) to service_role;
