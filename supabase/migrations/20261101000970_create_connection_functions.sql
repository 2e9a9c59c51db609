-- Purpose: creators connect themselves: a one-time state bound to a user and an agency carries the PKCE verifier (sealed)
-- from the start of the consent to its callback.
-- Who may call: begin_connection members of the agency; take_connection service_role (the Edge Function).
-- Locks: the state's row.

create table private.connection_attempts (
  state_hash text primary key,
  agency_id uuid not null references public.agencies (id) on delete cascade,
  model_id uuid references public.models (id) on delete cascade,
  user_id uuid not null,
  verifier text not null,
  return_to text,
  started_at timestamptz not null,
  expires_at timestamptz not null,
  used_at timestamptz
);
comment on table private.connection_attempts is 'Consents under way. The state itself is known to the browser only: its SHA-256 stands here, beside the sealed PKCE verifier.';
create index connection_attempts_agency_id_idx on private.connection_attempts (agency_id);
create index connection_attempts_model_id_idx on private.connection_attempts (model_id);
create index connection_attempts_expires_at_idx on private.connection_attempts (expires_at);
revoke all on private.connection_attempts from public, anon, authenticated;
grant select, insert, update, delete on private.connection_attempts to service_role;

create or replace function private.begin_connection_as_member(
  p_agency_id uuid, p_model_id uuid, p_state_hash text, p_verifier text, p_return_to text)
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
  if p_state_hash !~ '^[0-9a-f]{64}$' or coalesce(p_verifier, '') not like 'fse1.%' or length(p_verifier) > 1000
     or length(coalesce(p_return_to, '')) > 500 then
    raise sqlstate 'PT422' using message = 'a connection begins with a hashed state and a sealed verifier';
  end if;
  delete from private.connection_attempts a where a.expires_at < v_now - interval '1 day';
  insert into private.connection_attempts (state_hash, agency_id, model_id, user_id, verifier, return_to, started_at, expires_at)
  values (p_state_hash, p_agency_id, p_model_id, (select auth.uid()), p_verifier, p_return_to, v_now, v_now + v_lifetime)
  on conflict (state_hash) do nothing;
  return jsonb_build_object('expires_at', v_now + v_lifetime);
end
$$;
comment on function private.begin_connection_as_member(uuid, uuid, text, text, text) is 'What begin_connection does, with the right to write the attempt.';
revoke all on function private.begin_connection_as_member(uuid, uuid, text, text, text) from public, anon;
grant execute on function private.begin_connection_as_member(uuid, uuid, text, text, text) to authenticated;

create or replace function public.begin_connection(
  p_agency_id uuid, p_model_id uuid, p_state_hash text, p_verifier text, p_return_to text)
returns jsonb
language sql
set search_path = ''
as $$
  select private.begin_connection_as_member(p_agency_id, p_model_id, p_state_hash, p_verifier, p_return_to)
$$;
comment on function public.begin_connection(uuid, uuid, text, text, text) is
  'Notes that a member of an agency starts to connect a creator; good for ten minutes. Errors: 404 not yours, 422 malformed.';
revoke all on function public.begin_connection(uuid, uuid, text, text, text) from public, anon, authenticated;
grant execute on function public.begin_connection(uuid, uuid, text, text, text) to authenticated;

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
    'creator_uuid', (select m.fanvue_user_uuid from public.models m where m.id = v_attempt.model_id),
    'verifier', v_attempt.verifier, 'return_to', v_attempt.return_to);
end
$$;
comment on function public.take_connection(text) is
  'Uses up a connection''s state: who, for which agency, and the sealed verifier. Once only: 404 unknown or used, 410 too late.';
revoke all on function public.take_connection(text) from public, anon, authenticated;
grant execute on function public.take_connection(text) to service_role;
