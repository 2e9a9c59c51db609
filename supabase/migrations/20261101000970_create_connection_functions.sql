-- Purpose: accounts are connected in the browser: a one-time state bound to a user and an agency carries the PKCE verifier
-- (sealed) from the start of the consent to its callback. The grant of an agency's account is held back, sealed, until the
-- person who began has seen for which agency it is, and confirmed it: by a second nonce, which only the browser that consented was
-- given, since who sends somebody else to consent knows the state.
-- Who may call: begin_connection members of the agency (for the agency's account: its owners and admins); confirm_connection
-- who began, with the nonce; the others service_role (the Edge Function).
-- Locks: the attempt's row.

create table private.connection_attempts (
  state_hash text primary key,
  agency_id uuid not null references public.agencies (id) on delete cascade,
  model_id uuid references public.models (id) on delete cascade,
  user_id uuid not null,
  verifier text not null,
  return_to text,
  started_at timestamptz not null,
  expires_at timestamptz not null,
  used_at timestamptz,
  kind text not null default 'creator',
  connection_id uuid references public.agency_connections (id) on delete cascade,
  held jsonb,
  confirmed_at timestamptz,
  nonce_hash text unique,
  constraint connection_attempts_kind_check check (kind in ('creator', 'agency'))
);
comment on table private.connection_attempts is 'Consents under way. The state itself is known to the browser only: its SHA-256 stands here, beside the sealed PKCE verifier.';
comment on column private.connection_attempts.kind is 'creator: a creator''s own grant. agency: that of the agency''s administrator account.';
comment on column private.connection_attempts.connection_id is 'The agency''s account that is to be connected again; null: any.';
comment on column private.connection_attempts.held is
  'kind agency: what Fanvue granted (tokens sealed) and what the person is shown of it; stored as a connection only after they confirmed, gone when the time has passed.';
comment on column private.connection_attempts.nonce_hash is
  'kind agency: SHA-256 of the nonce by which the held grant is confirmed. Whoever began does not know it unless their own browser consented.';
comment on column private.connection_attempts.confirmed_at is 'When who began it confirmed that this account is for this agency.';
create index connection_attempts_connection_id_idx on private.connection_attempts (connection_id);
create index connection_attempts_agency_id_idx on private.connection_attempts (agency_id);
create index connection_attempts_model_id_idx on private.connection_attempts (model_id);
create index connection_attempts_expires_at_idx on private.connection_attempts (expires_at);
revoke all on private.connection_attempts from public, anon, authenticated;
grant select, insert, update, delete on private.connection_attempts to service_role;

create or replace function private.forget_attempts(p_now timestamptz)
returns void
language sql
set search_path = ''
as $$
  update private.connection_attempts a set held = null where a.held is not null and a.expires_at < p_now;
  delete from private.connection_attempts a where a.expires_at < p_now - interval '1 day';
$$;
comment on function private.forget_attempts(timestamptz) is 'Drops grants that nobody confirmed in time, and attempts that are a day old.';
revoke all on function private.forget_attempts(timestamptz) from public, anon, authenticated;
grant execute on function private.forget_attempts(timestamptz) to service_role;

create or replace function private.administers(p_agency_id uuid)
returns boolean
language sql
stable
set search_path = ''
as $$
  select exists (select from public.agency_members m
                 where m.agency_id = p_agency_id and m.user_id = (select auth.uid()) and m.role in ('owner', 'admin'))
$$;
comment on function private.administers(uuid) is 'Whether the caller is an owner or admin of an agency.';
revoke all on function private.administers(uuid) from public, anon, authenticated;
grant execute on function private.administers(uuid) to service_role;

create or replace function private.begin_connection_as_member(
  p_agency_id uuid, p_model_id uuid, p_state_hash text, p_verifier text, p_return_to text, p_as text, p_connection_id uuid)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_lifetime constant interval := interval '10 minutes';
begin
  if p_agency_id not in (select private.member_agency_ids()) then
    raise sqlstate 'PT404' using message = 'no such agency among yours';
  end if;
  if p_model_id is not null
     and not exists (select from public.models m where m.id = p_model_id and m.agency_id = p_agency_id) then
    raise sqlstate 'PT404' using message = 'no such model in this agency';
  end if;
  if p_as = 'agency' and not private.administers(p_agency_id) then
    raise sqlstate 'PT403' using message = 'only an owner or admin connects the agency''s account';
  end if;
  if coalesce(p_as, '') not in ('creator', 'agency') or (p_as = 'agency' and p_model_id is not null) or (p_as = 'creator' and p_connection_id is not null) then
    raise sqlstate 'PT422' using message = 'a connection is a creator''s, or that of the agency';
  end if;
  if p_connection_id is not null
     and not exists (select from public.agency_connections c where c.id = p_connection_id and c.agency_id = p_agency_id) then
    raise sqlstate 'PT404' using message = 'no such connection in this agency';
  end if;
  if p_state_hash !~ '^[0-9a-f]{64}$' or coalesce(p_verifier, '') not like 'fse1.%' or length(p_verifier) > 1000
     or length(coalesce(p_return_to, '')) > 500 then
    raise sqlstate 'PT422' using message = 'a connection begins with a hashed state and a sealed verifier';
  end if;
  perform private.forget_attempts(v_now);
  insert into private.connection_attempts (state_hash, agency_id, model_id, user_id, verifier, return_to, started_at, expires_at, kind, connection_id)
  values (p_state_hash, p_agency_id, p_model_id, (select auth.uid()), p_verifier, p_return_to, v_now, v_now + v_lifetime, p_as, p_connection_id)
  on conflict (state_hash) do nothing;
  return jsonb_build_object('expires_at', v_now + v_lifetime);
end
$$;
comment on function private.begin_connection_as_member(uuid, uuid, text, text, text, text, uuid) is 'What begin_connection does, with the right to write the attempt.';
revoke all on function private.begin_connection_as_member(uuid, uuid, text, text, text, text, uuid) from public, anon;
grant execute on function private.begin_connection_as_member(uuid, uuid, text, text, text, text, uuid) to authenticated;

create or replace function public.begin_connection(
  p_agency_id uuid, p_model_id uuid, p_state_hash text, p_verifier text, p_return_to text, p_as text default 'creator', p_connection_id uuid default null)
returns jsonb
language sql
set search_path = ''
as $$
  select private.begin_connection_as_member(p_agency_id, p_model_id, p_state_hash, p_verifier, p_return_to, p_as, p_connection_id)
$$;
comment on function public.begin_connection(uuid, uuid, text, text, text, text, uuid) is
  'Notes that a member of an agency starts to connect a creator or, as an owner or admin, the agency''s own account (p_as agency); good for ten minutes. Errors: 403 not yours to do, 404 not yours, 422 malformed.';
revoke all on function public.begin_connection(uuid, uuid, text, text, text, text, uuid) from public, anon, authenticated;
grant execute on function public.begin_connection(uuid, uuid, text, text, text, text, uuid) to authenticated;

create or replace function public.take_connection(p_state_hash text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_attempt private.connection_attempts;
begin
  select a.* into v_attempt from private.connection_attempts a where a.state_hash = p_state_hash for update;
  if not found or v_attempt.used_at is not null then
    raise sqlstate 'PT404' using message = 'this connection was not started here, or was finished already';
  end if;
  if v_attempt.expires_at < v_now then
    raise sqlstate 'PT410' using message = 'this connection took too long', hint = 'start again';
  end if;
  if not exists (select from public.agency_members m
                 where m.agency_id = v_attempt.agency_id and m.user_id = v_attempt.user_id) then
    raise sqlstate 'PT404' using message = 'who started this connection is no member any more';
  end if;
  update private.connection_attempts a set used_at = v_now where a.state_hash = p_state_hash;
  return jsonb_build_object(
    'agency_id', v_attempt.agency_id, 'user_id', v_attempt.user_id, 'model_id', v_attempt.model_id,
    'kind', v_attempt.kind,
    -- whose consent it must be, where one was named
    'creator_uuid', coalesce((select m.fanvue_user_uuid from public.models m where m.id = v_attempt.model_id),
                             (select c.fanvue_user_uuid from public.agency_connections c where c.id = v_attempt.connection_id)),
    'verifier', v_attempt.verifier, 'return_to', v_attempt.return_to);
end
$$;
comment on function public.take_connection(text) is
  'Uses up a connection''s state: who, for which agency, and the sealed verifier. Once only: 404 unknown or used, 410 too late.';
revoke all on function public.take_connection(text) from public, anon, authenticated;
grant execute on function public.take_connection(text) to service_role;

create or replace function public.hold_connection(p_state_hash text, p_nonce_hash text, p_held jsonb)
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
begin
  if coalesce(p_held ->> 'access_token', '') not like 'fse1.%' or coalesce(p_held ->> 'refresh_token', '') not like 'fse1.%' then
    raise sqlstate 'PT422' using message = 'a grant is held sealed';
  end if;
  if coalesce(p_nonce_hash, '') !~ '^[0-9a-f]{64}$' or p_nonce_hash = p_state_hash then
    raise sqlstate 'PT422' using message = 'a held grant is confirmed by a hashed nonce of its own';
  end if;
  update private.connection_attempts a
  -- whoever reads what the account is has time for it
  set held = p_held || jsonb_build_object('held_at', v_now), nonce_hash = p_nonce_hash, expires_at = v_now + interval '10 minutes'
  where a.state_hash = p_state_hash and a.kind = 'agency' and a.used_at is not null and a.confirmed_at is null
    and coalesce(a.nonce_hash, p_nonce_hash) = p_nonce_hash;
  if not found then
    raise sqlstate 'PT404' using message = 'this connection was not started here, or was finished already';
  end if;
end
$$;
comment on function public.hold_connection(text, text, jsonb) is
  'Keeps what Fanvue granted to an agency''s account (tokens sealed) until who began it confirms by the nonce, ten minutes at most. Sent again, it changes nothing.';
revoke all on function public.hold_connection(text, text, jsonb) from public, anon, authenticated;
grant execute on function public.hold_connection(text, text, jsonb) to service_role;

create or replace function private.confirm_connection_as_member(p_nonce_hash text, p_confirm boolean)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_attempt private.connection_attempts;
begin
  select a.* into v_attempt
  from private.connection_attempts a
  where a.nonce_hash = p_nonce_hash and a.user_id = (select auth.uid()) and a.held is not null
  for update;
  if not found then
    raise sqlstate 'PT404' using message = 'you have no such connection under way';
  end if;
  if v_attempt.expires_at < v_now then
    raise sqlstate 'PT410' using message = 'this connection took too long', hint = 'start again';
  end if;
  if not private.administers(v_attempt.agency_id) then
    raise sqlstate 'PT403' using message = 'only an owner or admin connects the agency''s account';
  end if;
  if p_confirm then
    update private.connection_attempts a set confirmed_at = coalesce(a.confirmed_at, v_now) where a.state_hash = v_attempt.state_hash;
  end if;
  return jsonb_build_object(
    'agency_id', v_attempt.agency_id, 'agency', (select a.name from public.agencies a where a.id = v_attempt.agency_id),
    'account', v_attempt.held ->> 'handle', 'account_uuid', v_attempt.held ->> 'user_uuid', 'scopes', v_attempt.held -> 'scopes',
    'creators', jsonb_array_length(v_attempt.held -> 'creators'));
end
$$;
comment on function private.confirm_connection_as_member(text, boolean) is 'What confirm_connection does, with the right to read the attempt.';
revoke all on function private.confirm_connection_as_member(text, boolean) from public, anon;
grant execute on function private.confirm_connection_as_member(text, boolean) to authenticated;

create or replace function public.confirm_connection(p_nonce_hash text, p_confirm boolean)
returns jsonb
language sql
set search_path = ''
as $$
  select private.confirm_connection_as_member(p_nonce_hash, p_confirm)
$$;
comment on function public.confirm_connection(text, boolean) is
  'What Fanvue granted, for which agency, and how many creators it serves: to be shown to who began it, and confirmed by them alone, with the nonce that the browser that consented was given. No secrets. Errors: 403, 404 not yours, 410 too late.';
revoke all on function public.confirm_connection(text, boolean) from public, anon, authenticated;
grant execute on function public.confirm_connection(text, boolean) to authenticated;

create or replace function public.confirmed_connection(p_nonce_hash text)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select a.held || jsonb_build_object(
    'agency_id', a.agency_id,
    'expires_in_s', greatest(0, (a.held ->> 'expires_in_s')::numeric - extract(epoch from private.engine_now() - (a.held ->> 'held_at')::timestamptz)))
  from private.connection_attempts a
  where a.nonce_hash = p_nonce_hash and a.confirmed_at is not null and a.held is not null and a.expires_at >= private.engine_now()
$$;
comment on function public.confirmed_connection(text) is 'A held grant (tokens sealed for the nonce) that was confirmed, to be stored now; null when there is none.';
revoke all on function public.confirmed_connection(text) from public, anon, authenticated;
grant execute on function public.confirmed_connection(text) to service_role;
