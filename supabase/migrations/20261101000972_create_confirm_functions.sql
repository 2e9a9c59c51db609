-- Purpose: what Fanvue granted is shown, confirmed or declined by the person, and ends when it is stored.
-- Who may call: confirm_connection who began, signed in; the others service_role (the Edge Function): confirm_linked_connection
-- for whoever holds a link, instead of a session.
-- Locks: the attempt's row, then the link's; whoever stores has the grant's row, the model or the connection before.

create or replace function private.see_connection(p_nonce_hash text, p_browser_hash text, p_user_id uuid)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_attempt private.connection_attempts;
begin
  select a.* into v_attempt
  from private.connection_attempts a
  where a.nonce_hash = p_nonce_hash and a.held is not null
  for update;
  if not found or (v_attempt.user_id <> p_user_id) then
    raise sqlstate 'PT404' using message = 'you have no such connection under way';
  end if;
  if v_attempt.user_id is not null and p_user_id is null then
    raise sqlstate 'PT401' using message = 'who began this connection confirms it', hint = 'sign in, or ask for a link';
  end if;
  if v_attempt.expires_at < v_now then
    raise sqlstate 'PT410' using message = 'this connection took too long', hint = 'start again';
  end if;
  if not private.may_go_on(v_attempt) then
    raise sqlstate 'PT403' using message = 'only owners and admins connect accounts, and links only as long as they are open';
  end if;
  if p_browser_hash is not null then
    if p_browser_hash is distinct from v_attempt.browser_hash then
      raise sqlstate 'PT412' using message = 'this is not the browser that came back from Fanvue', hint = 'start again';
    end if;
    update private.connection_attempts a set confirmed_at = coalesce(a.confirmed_at, v_now) where a.state_hash = v_attempt.state_hash;
  end if;
  return jsonb_build_object(
    'kind', v_attempt.kind, 'agency_id', v_attempt.agency_id,
    'agency', (select a.name from public.agencies a where a.id = v_attempt.agency_id),
    'account', v_attempt.held ->> 'handle', 'account_uuid', v_attempt.held ->> 'user_uuid', 'scopes', v_attempt.held -> 'scopes',
    'creators', jsonb_array_length(v_attempt.held -> 'creators'), 'by_link', v_attempt.link_id is not null,
    'return_to', v_attempt.return_to);
end
$$;
comment on function private.see_connection(text, text, uuid) is
  'Shows a held grant to who began it (or to whoever has the nonce, when a link began it), and confirms it where the browser''s secret is given.';
revoke all on function private.see_connection(text, text, uuid) from public, anon, authenticated;
grant execute on function private.see_connection(text, text, uuid) to service_role;

create or replace function private.confirm_connection_as_member(p_nonce_hash text, p_browser_hash text)
returns jsonb
language sql
security definer
set search_path = ''
as $$
  select private.see_connection(p_nonce_hash, p_browser_hash, (select auth.uid()))
$$;
comment on function private.confirm_connection_as_member(text, text) is 'What confirm_connection does, with the right to read the attempt.';
revoke all on function private.confirm_connection_as_member(text, text) from public, anon;
grant execute on function private.confirm_connection_as_member(text, text) to authenticated;

create or replace function public.confirm_connection(p_nonce_hash text, p_browser_hash text default null)
returns jsonb
language sql
set search_path = ''
as $$
  select private.confirm_connection_as_member(p_nonce_hash, p_browser_hash)
$$;
comment on function public.confirm_connection(text, text) is
  'What Fanvue granted, for which agency, and how many creators it serves; with the secret of the browser that came back from Fanvue it is confirmed. '
  'No secrets. Errors: 403, 404 not yours, 410 too late, 412 another browser.';
revoke all on function public.confirm_connection(text, text) from public, anon, authenticated;
grant execute on function public.confirm_connection(text, text) to authenticated;

create or replace function public.confirm_linked_connection(p_nonce_hash text, p_browser_hash text default null)
returns jsonb
language sql
set search_path = ''
as $$
  select private.see_connection(p_nonce_hash, p_browser_hash, null)
$$;
comment on function public.confirm_linked_connection(text, text) is
  'confirm_connection for a connection that a link began. Errors: 401 a user began it, who has to sign in, 403, 404, 410, 412 another browser.';
revoke all on function public.confirm_linked_connection(text, text) from public, anon, authenticated;
grant execute on function public.confirm_linked_connection(text, text) to service_role;

create or replace function public.decline_connection(p_nonce_hash text, p_browser_hash text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_attempt private.connection_attempts;
begin
  select a.* into v_attempt from private.connection_attempts a where a.nonce_hash = p_nonce_hash for update;
  if not found or v_attempt.finished_at is not null then
    raise sqlstate 'PT404' using message = 'there is no such connection under way';
  end if;
  if p_browser_hash is distinct from v_attempt.browser_hash then
    raise sqlstate 'PT412' using message = 'this is not the browser that came back from Fanvue';
  end if;
  update private.connection_attempts a set held = null where a.state_hash = v_attempt.state_hash and a.held is not null;
  return jsonb_build_object('by_link', v_attempt.link_id is not null, 'return_to', v_attempt.return_to);
end
$$;
comment on function public.decline_connection(text, text) is
  'Throws away what Fanvue granted, for the browser that came back with it: nobody can confirm it any more. No session is asked for, since who was lured has none. '
  'Sent again, it changes nothing. Errors: 404 unknown or stored already, 412 another browser.';
revoke all on function public.decline_connection(text, text) from public, anon, authenticated;
grant execute on function public.decline_connection(text, text) to service_role;

create or replace function private.place_held(p_attempt private.connection_attempts, p_new_id uuid)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_agency constant text := p_attempt.agency_id::text;
  v_user_uuid constant uuid := (p_attempt.held ->> 'user_uuid')::uuid;
  v_placed jsonb;
begin
  case p_attempt.kind
    when 'creator' then
      v_placed := private.place_model(v_agency, v_user_uuid, p_attempt.held ->> 'handle', true, p_attempt.model_id, p_new_id) - 'agency_id' - 'created';
    when 'agency' then
      v_placed := private.place_account(v_agency, v_user_uuid, p_attempt.held ->> 'fingerprint', p_new_id) - 'agency_id' - 'created' - 'status';
  end case;
  return v_placed;
end
$$;
comment on function private.place_held(private.connection_attempts, uuid) is
  'Finds the model or connection for a held grant, or makes it with that id. Errors: those of connect_model and connect_agency.';
revoke all on function private.place_held(private.connection_attempts, uuid) from public, anon, authenticated;
grant execute on function private.place_held(private.connection_attempts, uuid) to service_role;

create or replace function private.make_place(p_nonce_hash text, p_id uuid)
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_attempt private.connection_attempts;
  v_placed jsonb;
begin
  select a.* into v_attempt
  from private.connection_attempts a
  where a.nonce_hash = p_nonce_hash and a.confirmed_at is not null and a.finished_at is null and a.held is not null;
  if not found then
    -- stored already, or nothing to be stored: finish_connection tells which
    return;
  end if;
  if not private.may_go_on(v_attempt) then
    raise sqlstate 'PT404' using message = 'this link is used or over, or who began may not connect accounts any more';
  end if;
  perform private.act_for(v_attempt);
  v_placed := private.place_held(v_attempt, p_id);
  if p_id::text is distinct from coalesce(v_placed ->> 'model_id', v_placed ->> 'connection_id') then
    raise sqlstate 'PT409' using message = 'this account was connected meanwhile', hint = 'connect again';
  end if;
end
$$;
comment on function private.make_place(text, uuid) is
  'Makes the model or connection of a confirmed grant, with the id that its tokens are sealed for, in the transaction that stores it: whoever does not come so far claims nobody.';
revoke all on function private.make_place(text, uuid) from public, anon, authenticated;
grant execute on function private.make_place(text, uuid) to service_role;

create or replace function public.confirmed_connection(p_nonce_hash text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_attempt private.connection_attempts;
  v_placed jsonb;
begin
  select a.* into v_attempt
  from private.connection_attempts a
  where a.nonce_hash = p_nonce_hash and a.confirmed_at is not null and a.held is not null and a.expires_at >= private.engine_now();
  if not found then
    return null;
  end if;
  if v_attempt.placed is null then
    begin
      v_placed := private.place_held(v_attempt, gen_random_uuid());
      raise sqlstate 'FS001';
    exception when sqlstate 'FS001' then
      -- it would succeed; nobody is claimed before a grant is stored
      null;
    end;
  end if;
  -- of two presses the first one's place counts
  update private.connection_attempts a set placed = coalesce(a.placed, v_placed)
  where a.state_hash = v_attempt.state_hash and a.held is not null
  returning a.* into v_attempt;
  if not found then
    return null;
  end if;
  if (v_attempt.placed ->> 'repeated')::boolean and v_attempt.finished_at is null then
    -- what was consented to before is not stored again: its refresh token has rotated since
    perform private.finish_connection(p_nonce_hash);
    select a.* into v_attempt from private.connection_attempts a where a.state_hash = v_attempt.state_hash;
  end if;
  return v_attempt.held || v_attempt.placed || jsonb_build_object(
    'kind', v_attempt.kind, 'agency_id', v_attempt.agency_id, 'return_to', v_attempt.return_to, 'stored', v_attempt.finished_at is not null,
    'expires_in_s', greatest(0, (v_attempt.held ->> 'expires_in_s')::numeric
                                - extract(epoch from private.engine_now() - (v_attempt.held ->> 'held_at')::timestamptz)));
end
$$;
comment on function public.confirmed_connection(text) is
  'A held grant (tokens sealed for the nonce) that was confirmed, to be stored now, with the id and version of the model or connection to store it in; '
  'null when there is none. Nothing is made yet. Sent again, it says the same; stored: an agency''s is stored already, without tokens here, and its creators are attached. '
  'Errors: those of connect_model and connect_agency.';
revoke all on function public.confirmed_connection(text) from public, anon, authenticated;
grant execute on function public.confirmed_connection(text) to service_role;

create or replace function private.act_for(p_attempt private.connection_attempts)
returns void
language sql
set search_path = ''
as $$
  select set_config('fanvue.began_by',
                    coalesce(p_attempt.user_id, (select l.created_by from public.connect_links l where l.id = p_attempt.link_id))::text, true)
$$;
comment on function private.act_for(private.connection_attempts) is 'Lets the trail name, until the transaction ends, who began a connection or made its link.';
revoke all on function private.act_for(private.connection_attempts) from public, anon, authenticated;
grant execute on function private.act_for(private.connection_attempts) to service_role;

create or replace function private.finish_connection(p_nonce_hash text)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_attempt private.connection_attempts;
begin
  select a.* into v_attempt
  from private.connection_attempts a
  where a.nonce_hash = p_nonce_hash and a.confirmed_at is not null and (a.held is not null or a.finished_at is not null)
  for update;
  if not found then
    raise sqlstate 'PT404' using message = 'nobody confirmed this connection';
  end if;
  perform private.act_for(v_attempt);
  if v_attempt.finished_at is not null then
    return false;
  end if;
  if v_attempt.link_id is not null then
    update public.connect_links l
    -- from now on it is this creator's, and goes with them: its label may be their name
    set used_at = v_now, creator_id = coalesce(l.creator_id, (v_attempt.placed ->> 'model_id')::uuid)
    where l.id = v_attempt.link_id and private.is_open(l);
    if not found then
      raise sqlstate 'PT404' using message = 'this link is used or over';
    end if;
  end if;
  update private.connection_attempts a
  set finished_at = v_now, held = case when a.kind = 'agency' then a.held - 'access_token' - 'refresh_token' end
  where a.state_hash = v_attempt.state_hash;
  return true;
end
$$;
comment on function private.finish_connection(text) is
  'Ends a confirmed connection in the transaction that stores its grant: no token is held any more, and its link is used up. false: it was ended before. '
  'Errors: 404 not confirmed, or the link was used meanwhile.';
revoke all on function private.finish_connection(text) from public, anon, authenticated;
grant execute on function private.finish_connection(text) to service_role;
