-- Purpose: accounts are connected in the browser. A one-time state, bound to an agency and to who began (a user, or a link), carries
-- the PKCE verifier (sealed) from the start of the consent to its callback. Whatever Fanvue granted is held back, sealed, until
-- the person has seen for which agency it is and what it reads, and confirmed that: with a nonce in the address and a secret in a
-- cookie, both given to the browser that came back from Fanvue and to nobody else. Who sends somebody else to consent has neither.
-- Who may call: begin_connection owners and admins; the others service_role (the Edge Function): begin_linked_connection for
-- whoever holds a link, instead of a session.
-- Locks: the attempt's row, the link's; the agency's while attempts are counted.

create table private.connection_attempts (
  state_hash text primary key,
  agency_id uuid not null references public.agencies (id) on delete cascade,
  model_id uuid references public.models (id) on delete cascade,
  user_id uuid,
  link_id uuid references public.connect_links (id) on delete cascade,
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
  browser_hash text,
  placed jsonb,
  finished_at timestamptz,
  constraint connection_attempts_kind_check check (kind in ('creator', 'agency')),
  constraint connection_attempts_begun_check check ((user_id is null) <> (link_id is null) and (link_id is null or kind = 'creator'))
);
comment on table private.connection_attempts is 'Consents under way. The state itself is known to the browser only: its SHA-256 stands here, beside the sealed PKCE verifier.';
comment on column private.connection_attempts.kind is 'creator: a creator''s own grant. agency: that of the agency''s administrator account.';
comment on column private.connection_attempts.connection_id is 'The agency''s account that is to be connected again; null: any.';
comment on column private.connection_attempts.user_id is 'Who began it, signed in; null: the holder of a link.';
comment on column private.connection_attempts.link_id is 'The link it was begun with; its end is the attempt''s, too.';
comment on column private.connection_attempts.held is
  'What Fanvue granted (tokens sealed) and what the person is shown of it; stored only after they confirmed, gone when that is done or the time has passed.';
comment on column private.connection_attempts.nonce_hash is
  'SHA-256 of the nonce by which the held grant is shown and confirmed. Whoever began does not know it unless their own browser consented.';
comment on column private.connection_attempts.browser_hash is
  'SHA-256 of the secret in the cookie of the browser that came back from Fanvue: without it nothing is confirmed.';
comment on column private.connection_attempts.confirmed_at is 'When the person confirmed that this account is for this agency.';
comment on column private.connection_attempts.placed is
  'Where the grant goes, as it was when it was about to be stored first: {model_id, token_version} or {connection_id, token_version, repeated}. '
  'Stored against that version, repeated it never takes the place of a younger one. Who is new is made with that id when the grant is stored, not before.';
comment on column private.connection_attempts.finished_at is 'When the grant was stored: of held only the creators of an agency''s account remain, to be attached once more if an answer was lost.';
create index connection_attempts_connection_id_idx on private.connection_attempts (connection_id);
create index connection_attempts_agency_id_idx on private.connection_attempts (agency_id, started_at);
create index connection_attempts_link_id_idx on private.connection_attempts (link_id);
create index connection_attempts_model_id_idx on private.connection_attempts (model_id);
create index connection_attempts_expires_at_idx on private.connection_attempts (expires_at);
-- what is held longer than its time is few, whatever others began meanwhile
create index connection_attempts_held_idx on private.connection_attempts (expires_at) where held is not null;
revoke all on private.connection_attempts from public, anon, authenticated;
grant select, insert, update, delete on private.connection_attempts to service_role;

create or replace function private.forget_attempts(p_now timestamptz)
returns void
language sql
set search_path = ''
as $$
  update private.connection_attempts a set held = null
  where a.ctid = any (array(select x.ctid from private.connection_attempts x where x.held is not null and x.expires_at < p_now for update skip locked));
  delete from private.connection_attempts a
  where a.ctid = any (array(select x.ctid from private.connection_attempts x where x.expires_at < p_now - interval '1 day' for update skip locked));
$$;
comment on function private.forget_attempts(timestamptz) is
  'Drops grants that nobody confirmed in time, and attempts that are a day old; those that somebody holds wait for the next time.';
revoke all on function private.forget_attempts(timestamptz) from public, anon, authenticated;
grant execute on function private.forget_attempts(timestamptz) to service_role;

-- Beginning ----------------------------------------------------------------------------------------

create or replace function private.put_attempt(p_attempt private.connection_attempts)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_lifetime constant interval := interval '10 minutes';
begin
  if p_attempt.state_hash !~ '^[0-9a-f]{64}$' or coalesce(p_attempt.verifier, '') not like 'fse1.%' or length(p_attempt.verifier) > 1000
     or length(coalesce(p_attempt.return_to, '')) > 500 then
    raise sqlstate 'PT422' using message = 'a connection begins with a hashed state and a sealed verifier';
  end if;
  -- the counts below are one caller's at a time
  perform from public.agencies a where a.id = p_attempt.agency_id for no key update;
  -- apart: whoever holds links keeps no owner or admin waiting
  if (select count(*) >= case when p_attempt.link_id is null then 120 else 600 end from private.connection_attempts c
      where c.agency_id = p_attempt.agency_id and (c.link_id is null) = (p_attempt.link_id is null)
        and c.started_at > v_now - interval '1 hour' and c.state_hash <> p_attempt.state_hash)
     or (select count(*) >= 20 from private.connection_attempts c
         where c.link_id = p_attempt.link_id and c.started_at > v_now - interval '1 hour' and c.state_hash <> p_attempt.state_hash) then
    raise sqlstate 'PT429' using message = 'this agency began too many connections within the last hour',
      hint = 'owners and admins begin 120 an hour, the links of an agency 600, each 20';
  end if;
  perform private.forget_attempts(v_now);
  insert into private.connection_attempts (state_hash, agency_id, model_id, user_id, link_id, verifier, return_to, started_at, expires_at, kind, connection_id)
  values (p_attempt.state_hash, p_attempt.agency_id, p_attempt.model_id, p_attempt.user_id, p_attempt.link_id, p_attempt.verifier,
          p_attempt.return_to, v_now, v_now + v_lifetime, p_attempt.kind, p_attempt.connection_id)
  on conflict (state_hash) do nothing;
  return jsonb_build_object('expires_at', v_now + v_lifetime);
end
$$;
comment on function private.put_attempt(private.connection_attempts) is
  'Notes a connection that begins, good for ten minutes. Errors: 422 malformed, 429 too many within an hour.';
revoke all on function private.put_attempt(private.connection_attempts) from public, anon, authenticated;
grant execute on function private.put_attempt(private.connection_attempts) to service_role;

create or replace function private.begin_connection_as_member(
  p_agency_id uuid, p_model_id uuid, p_state_hash text, p_verifier text, p_return_to text, p_as text, p_connection_id uuid)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_attempt private.connection_attempts;
begin
  perform private.require_role(p_agency_id, array['owner', 'admin']);
  if p_model_id is not null
     and not exists (select from public.models m where m.id = p_model_id and m.agency_id = p_agency_id) then
    raise sqlstate 'PT404' using message = 'no such model in this agency';
  end if;
  if coalesce(p_as, '') not in ('creator', 'agency') or (p_as = 'agency' and p_model_id is not null) or (p_as = 'creator' and p_connection_id is not null) then
    raise sqlstate 'PT422' using message = 'a connection is a creator''s, or that of the agency';
  end if;
  if p_connection_id is not null
     and not exists (select from public.agency_connections c where c.id = p_connection_id and c.agency_id = p_agency_id) then
    raise sqlstate 'PT404' using message = 'no such connection in this agency';
  end if;
  v_attempt.agency_id := p_agency_id;
  v_attempt.model_id := p_model_id;
  v_attempt.user_id := (select auth.uid());
  v_attempt.state_hash := p_state_hash;
  v_attempt.verifier := p_verifier;
  v_attempt.return_to := p_return_to;
  v_attempt.kind := p_as;
  v_attempt.connection_id := p_connection_id;
  return private.put_attempt(v_attempt);
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
  'Notes that an owner or admin of an agency starts to connect a creator or the agency''s own account (p_as agency); good for ten minutes. Errors: 403 not yours to do, 404 not yours, 422 malformed, 429 more than 120 an hour.';
revoke all on function public.begin_connection(uuid, uuid, text, text, text, text, uuid) from public, anon, authenticated;
grant execute on function public.begin_connection(uuid, uuid, text, text, text, text, uuid) to authenticated;

create or replace function public.begin_linked_connection(p_link_hash text, p_state_hash text, p_verifier text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_link public.connect_links;
  v_attempt private.connection_attempts;
begin
  select l.* into v_link from public.connect_links l where l.link_hash = p_link_hash;
  if v_link.id is null or not private.is_open(v_link) then
    raise sqlstate 'PT404' using message = 'this link is unknown, used or over';
  end if;
  v_attempt.agency_id := v_link.agency_id;
  v_attempt.model_id := v_link.creator_id;
  v_attempt.link_id := v_link.id;
  v_attempt.state_hash := p_state_hash;
  v_attempt.verifier := p_verifier;
  v_attempt.kind := 'creator';
  return private.put_attempt(v_attempt);
end
$$;
comment on function public.begin_linked_connection(text, text, text) is
  'Notes that the holder of a link starts to connect a creator. Errors: 404 the link is unknown, used or over, 422 malformed, 429 too many within an hour.';
revoke all on function public.begin_linked_connection(text, text, text) from public, anon, authenticated;
grant execute on function public.begin_linked_connection(text, text, text) to service_role;

-- Coming back from Fanvue --------------------------------------------------------------------------

create or replace function private.may_go_on(p_attempt private.connection_attempts)
returns boolean
language sql
stable
set search_path = ''
as $$
  select case when p_attempt.link_id is null
    then exists (select from public.agency_members m
                 where m.agency_id = p_attempt.agency_id and m.user_id = p_attempt.user_id and m.role in ('owner', 'admin'))
    else exists (select from public.connect_links l where l.id = p_attempt.link_id and private.is_open(l)) end
$$;
comment on function private.may_go_on(private.connection_attempts) is 'Whether who began a connection still may: an owner or admin as before, or the holder of a link that is still open.';
revoke all on function private.may_go_on(private.connection_attempts) from public, anon, authenticated;
grant execute on function private.may_go_on(private.connection_attempts) to service_role;

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
  if not private.may_go_on(v_attempt) then
    raise sqlstate 'PT404' using message = 'who started this connection may not connect accounts any more';
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

create or replace function public.hold_connection(p_state_hash text, p_nonce_hash text, p_browser_hash text, p_held jsonb)
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
  if coalesce(p_nonce_hash, '') !~ '^[0-9a-f]{64}$' or coalesce(p_browser_hash, '') !~ '^[0-9a-f]{64}$'
     or p_nonce_hash in (p_state_hash, p_browser_hash) or p_browser_hash = p_state_hash then
    raise sqlstate 'PT422' using message = 'a held grant is confirmed by a hashed nonce of its own, in a browser with a hashed secret of its own';
  end if;
  update private.connection_attempts a
  -- whoever reads what the account is has time for it
  set held = p_held || jsonb_build_object('held_at', v_now), nonce_hash = p_nonce_hash, browser_hash = p_browser_hash,
      expires_at = v_now + interval '10 minutes'
  where a.state_hash = p_state_hash and a.used_at is not null and a.confirmed_at is null
    and coalesce(a.nonce_hash, p_nonce_hash) = p_nonce_hash and coalesce(a.browser_hash, p_browser_hash) = p_browser_hash;
  if not found then
    raise sqlstate 'PT404' using message = 'this connection was not started here, or was finished already';
  end if;
end
$$;
comment on function public.hold_connection(text, text, text, jsonb) is
  'Keeps what Fanvue granted (tokens sealed) until the person confirms by the nonce, in the browser with the secret, ten minutes at most. Sent again, it changes nothing.';
revoke all on function public.hold_connection(text, text, text, jsonb) from public, anon, authenticated;
grant execute on function public.hold_connection(text, text, text, jsonb) to service_role;
