-- Purpose: what a page changes, stream by stream, and what the end of a walk means.
-- Who may call: commit_sync_page, under the lease and the locks that it took.
-- Locks: the rows written.

create or replace function private.apply_page(
  p_job public.sync_jobs, p_state public.sync_state, p_settings private.sync_streams, p_page jsonb, p_now timestamptz,
  out inserted integer, out updated integer, out unchanged integer, out amount numeric)
language plpgsql
set search_path = ''
as $$
declare
  v_rows jsonb := coalesce(p_page -> 'rows', '[]');
  -- when Fanvue answered, by its own clock
  v_at timestamptz := coalesce((p_page ->> 'ceiling')::timestamptz, p_now);
  v_added uuid[];
begin
  amount := 0;
  if p_job.sync_type <> 'earnings' then
    v_rows := private.hide_erased_fans(p_job.agency_id, private.fold_ids(v_rows));
  end if;
  case
    when p_job.sync_type = 'earnings' then
      select a.inserted, a.updated, a.unchanged, a.amount, a.added into inserted, updated, unchanged, amount, v_added
      from private.apply_transactions(p_job.agency_id, p_job.model_id, v_rows, p_state.walk_border, p_now) a;
      perform private.count_unannounced(p_job.model_id, v_added, p_now);
    when p_job.sync_type = 'subscribers' then
      select a.* into inserted, updated, unchanged from private.apply_subscribers(p_job, p_state, v_rows, v_at, p_now) a;
    when p_job.sync_type = 'followers' then
      select a.* into inserted, updated, unchanged from private.apply_followers(p_job, p_state, v_rows, p_now) a;
    when p_job.sync_type = 'posts' then
      select a.* into inserted, updated, unchanged from private.apply_posts(p_job, p_state, v_rows, p_now) a;
    when p_job.sync_type = 'top_fans' and not coalesce((p_page ->> 'not_modified')::boolean, false) then
      select a.* into inserted, updated, unchanged from private.apply_top_fans(p_job, v_rows, v_at, p_now) a;
    when p_job.sync_type = 'account' then
      select a.* into inserted, updated, unchanged from private.apply_account(p_job, v_rows, p_now) a;
    -- a chat with an erased fan is not kept, whoever began to read it
    when p_page ->> 'chat' is not null and private.erased_alias(p_job.agency_id, p_page ->> 'chat') is null then
      select a.* into inserted, updated, unchanged
      from private.apply_messages(p_job, p_page ->> 'chat', v_rows, p_settings.keep_text, p_now) a;
      perform private.turn_chat(p_job, p_page);
    when p_job.sync_type = 'messages' and p_page ->> 'chat' is null then
      select coalesce(jsonb_agg(r.item order by r.ordinality), '[]') into v_rows
      from jsonb_array_elements(v_rows) with ordinality r(item, ordinality) where not r.item ? 'sent_fan';
      select a.* into inserted, updated, unchanged from private.apply_chats(p_job, v_rows, p_now) a;
    else
      inserted := 0;
      updated := 0;
      unchanged := 0;
  end case;
end
$$;
comment on function private.apply_page(public.sync_jobs, public.sync_state, private.sync_streams, jsonb, timestamptz) is
  'Writes the rows of one page where their stream keeps them. amount: the change of the model''s total, US dollars.';
revoke all on function private.apply_page(public.sync_jobs, public.sync_state, private.sync_streams, jsonb, timestamptz) from public, anon, authenticated;
grant execute on function private.apply_page(public.sync_jobs, public.sync_state, private.sync_streams, jsonb, timestamptz) to service_role;

create or replace function private.finish_walk(
  p_state public.sync_state, p_settings private.sync_streams, p_newest timestamptz, p_ceiling timestamptz, p_partial text, p_news boolean, p_now timestamptz)
returns text
language plpgsql
set search_path = ''
as $$
declare
  v_partial text := p_partial;
  v_list record;
  v_is_list boolean := p_state.walk_kind = 'full' and p_state.sync_type in ('subscribers', 'followers', 'posts');
  v_again boolean := false;
  v_state public.sync_state := p_state;
  -- so few pages are read again at every poll
  v_few constant integer := 3;
  v_pages integer := p_state.walk_pages + 1;
  -- the walk passed over what an earlier one could not read
  v_held boolean := p_state.whole_after is not null;
begin
  if v_partial is null and v_is_list then
    select l.ended, l.again, l.refusal into v_list from private.close_list(p_state, p_settings, p_now) l;
    v_partial := v_list.refusal;
    v_again := v_list.again;
    p_news := p_news or v_list.ended > 0;
  end if;
  v_state.quiet_runs := case when p_news then 0 when v_partial is null then p_state.quiet_runs + 1 else p_state.quiet_runs end;
  update public.sync_state s
  set walk_id = null, walk_kind = null, walk_phase = null, walk_mode = null, walk_ceiling = null, walk_newest = null, walk_position = null,
      walk_floor = null, walk_started_at = null, walk_border = '{}', walk_notes = '{}', last_cursor = null,
      quiet_runs = v_state.quiet_runs,
      -- what could not be read whole is not taken for known next time
      validator = case when v_partial is null then s.validator end,
      -- what is to be looked for once more, or is not believed, needs the whole list again
      full_requested = s.full_requested or v_again or (v_is_list and v_partial is not null),
      shrink_accepted_at = case when v_is_list and v_partial is null and not v_again then null else s.shrink_accepted_at end,
      -- what stays unreadable is looked for again, but not at the price of a call a minute; money that is withheld
      -- for the same reason as last time, once a day
      whole_after = case when v_partial is not null and p_state.sync_type = 'earnings' and v_partial = s.last_error ->> 'message'
                         then p_now + interval '1 day'
                         when v_partial is not null and v_pages > v_few
                         then p_now + greatest(p_settings.every, least(interval '1 day', v_pages * interval '1 minute'))
                         else s.whole_after end,
      -- the high-water mark: only when the enumeration finished, never past the ceiling, never backwards
      high_water = case when v_partial is not null or v_held then s.high_water
                        when p_state.sync_type not in ('earnings', 'messages') then greatest(s.high_water, p_ceiling)
                        else greatest(s.high_water, case when p_newest is not null then least(p_newest, p_ceiling)
                                                         when s.high_water is null then p_ceiling end) end,
      last_success_at = case when v_partial is null then p_now else s.last_success_at end,
      last_full_at = case when v_partial is null and p_state.walk_kind = 'full' then p_now else s.last_full_at end,
      last_deep_at = case when v_partial is null and p_state.walk_kind in ('full', 'deep') then p_now else s.last_deep_at end,
      consecutive_failures = case when v_partial is not null then s.consecutive_failures + 1 when v_held then s.consecutive_failures else 0 end,
      last_error = case when v_partial is null and v_held then s.last_error
                        when v_partial is not null then jsonb_build_object('kind', 'partial', 'message', v_partial, 'at', p_now) end,
      next_sync_at = coalesce(private.next_due(v_state, p_now),
                              -- work on demand that could not be finished: later, not with each demand
                              case when p_settings.on_demand and p_settings.enabled and v_partial is not null
                                        and exists (select from public.models m where m.id = s.model_id and m.status = 'active')
                                   then p_now + p_settings.every end)
  where s.id = p_state.id;
  if p_state.sync_type = 'messages' and private.chats_to_read(p_state.model_id, 'message_history') <> '[]' then
    -- chats whose older messages are still unread: work for the stream that runs on demand
    update public.sync_state s
    set next_sync_at = p_now
    from private.stream_settings(p_state.agency_id, p_state.model_id, 'message_history') t
    where t.enabled
      -- who holds the row settles its last run: the next walk looks again
      and s.id in (select w.id from public.sync_state w
                   where w.model_id = p_state.model_id and w.sync_type = 'message_history' and w.next_sync_at is null
                   for update skip locked)
      and exists (select from public.models m where m.id = s.model_id and m.status = 'active');
  end if;
  return v_partial;
end
$$;
comment on function private.finish_walk(public.sync_state, private.sync_streams, timestamptz, timestamptz, text, boolean, timestamptz) is
  'Closes a walk: ends what a complete list no longer names, moves the high-water mark, plans the next poll. Returns why the walk is only partial, or null.';
revoke all on function private.finish_walk(public.sync_state, private.sync_streams, timestamptz, timestamptz, text, boolean, timestamptz) from public, anon, authenticated;
grant execute on function private.finish_walk(public.sync_state, private.sync_streams, timestamptz, timestamptz, text, boolean, timestamptz) to service_role;
