-- Purpose: what happens to creators, the agency's account and pauses goes into the agency's trail, whoever does it.
-- Members read it: it says why in codes. An operator's own words stay in ops.actions.
-- Who may call: triggers alone.
-- Locks: none beyond the row that changes.

create or replace function private.note_model()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if tg_op = 'INSERT' then
    perform private.note_change(new.agency_id, 'creator_added', new.id);
    return null;
  elsif tg_op = 'DELETE' then
    perform private.note_change(old.agency_id, 'creator_removed', old.id);
    return null;
  end if;
  if new.agency_id <> old.agency_id then
    perform private.note_change(old.agency_id, 'creator_removed', new.id);
    perform private.note_change(new.agency_id, 'creator_added', new.id);
  end if;
  if private.has_grant(old) and not private.has_grant(new) then
    perform private.note_change(new.agency_id, 'creator_disconnected', new.id);
  -- a new consent of the agency's account is one line, not one per creator
  elsif new.connected_at is distinct from old.connected_at and private.has_grant(new)
        and (new.connection_id is null or new.connection_id is distinct from old.connection_id) then
    perform private.note_change(new.agency_id, 'creator_connected', new.id,
                                jsonb_build_object('through', case when new.connection_id is null then 'own account' else 'agency account' end));
  end if;
  if new.status = old.status and new.reason_code is not distinct from old.reason_code then
    return null;
  elsif private.status_with_grant(new) = 'paused' then
    perform private.note_change(new.agency_id, 'creator_paused', new.id, jsonb_build_object('reason_code', new.reason_code));
  elsif private.status_with_grant(old) = 'paused' then
    perform private.note_change(new.agency_id, 'creator_resumed', new.id);
  elsif new.status = 'reauth_required' and old.status <> 'reauth_required' and new.connection_id is null then
    perform private.note_change(new.agency_id, 'creator_refused', new.id);
  end if;
  return null;
end
$$;
comment on function private.note_model() is 'Writes into the trail when a creator comes, goes, is connected, disconnected, refused by Fanvue, paused or resumed.';
revoke all on function private.note_model() from public, anon, authenticated;
create trigger models_note
  after insert or delete on public.models
  for each row execute function private.note_model();
create trigger models_note_change
  after update of status, reason_code, agency_id, connected_at, connection_id, fanvue_access_token, fanvue_refresh_token on public.models
  for each row when (new.status <> old.status or new.reason_code is distinct from old.reason_code or new.agency_id <> old.agency_id
                     or new.connected_at is distinct from old.connected_at or new.connection_id is distinct from old.connection_id
                     or (new.fanvue_refresh_token is null) <> (old.fanvue_refresh_token is null))
  execute function private.note_model();

create or replace function private.note_account()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  if tg_op = 'DELETE' then
    perform private.note_change(old.agency_id, 'account_removed', old.id);
  elsif new.connected_at is distinct from old.connected_at then
    perform private.note_change(new.agency_id, 'account_connected', new.id);
  elsif new.status = 'reauth_required' and old.status <> 'reauth_required' then
    perform private.note_change(new.agency_id, 'account_refused', new.id);
  end if;
  return null;
end
$$;
comment on function private.note_account() is 'Writes into the trail when the agency''s account is connected, removed, or refused by Fanvue.';
revoke all on function private.note_account() from public, anon, authenticated;
create trigger agency_connections_note
  after delete or update of status, connected_at on public.agency_connections
  for each row execute function private.note_account();

create or replace function private.note_lane()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  perform private.note_change(new.agency_id, case when new.paused then 'agency_paused' else 'agency_resumed' end, new.agency_id);
  return null;
end
$$;
comment on function private.note_lane() is 'Writes into the trail when an operator pauses or resumes an agency.';
revoke all on function private.note_lane() from public, anon, authenticated;
create trigger queue_lanes_note
  after update of paused on private.queue_lanes
  for each row when (new.paused <> old.paused)
  execute function private.note_lane();
