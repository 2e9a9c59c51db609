-- Purpose: what Fanvue granted is shown, confirmed by the person, and ends when it is stored.
-- Who may call: confirm_connection who began, signed in; the others service_role (the Edge Function): confirm_linked_connection
-- for whoever holds a link, instead of a session.
-- Locks: the attempt's row, then the link's.

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

create or replace function public.confirmed_connection(p_nonce_hash text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_attempt private.connection_attempts;
begin
  select a.* into v_attempt
  from private.connection_attempts a
  where a.nonce_hash = p_nonce_hash and a.confirmed_at is not null and a.held is not null and a.expires_at >= private.engine_now()
  for update;
  if not found then
    return null;
  end if;
  if v_attempt.kind = 'creator' and v_attempt.placed is null then
    perform private.act_for(v_attempt);
    v_attempt.placed := public.connect_model(v_attempt.agency_id::text, (v_attempt.held ->> 'user_uuid')::uuid, v_attempt.held ->> 'handle',
                                             true, v_attempt.model_id) - 'agency_id' - 'created';
    update private.connection_attempts a set placed = v_attempt.placed where a.state_hash = v_attempt.state_hash;
  end if;
  return v_attempt.held || coalesce(v_attempt.placed, '{}') || jsonb_build_object(
    'kind', v_attempt.kind, 'agency_id', v_attempt.agency_id, 'return_to', v_attempt.return_to,
    'expires_in_s', greatest(0, (v_attempt.held ->> 'expires_in_s')::numeric
                                - extract(epoch from private.engine_now() - (v_attempt.held ->> 'held_at')::timestamptz)));
end
$$;
comment on function public.confirmed_connection(text) is
  'A held grant (tokens sealed for the nonce) that was confirmed, to be stored now; null when there is none. A creator''s comes with the model to store it in, '
  'which is found or made. Sent again, it says the same. Errors: those of connect_model.';
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
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_attempt private.connection_attempts;
begin
  select a.* into v_attempt from private.connection_attempts a where a.nonce_hash = p_nonce_hash and a.confirmed_at is not null for update;
  if not found then
    raise sqlstate 'PT404' using message = 'nobody confirmed this connection';
  end if;
  perform private.act_for(v_attempt);
  if v_attempt.finished_at is not null then
    return;
  end if;
  if v_attempt.link_id is not null then
    update public.connect_links l set used_at = v_now where l.id = v_attempt.link_id and private.is_open(l);
    if not found then
      raise sqlstate 'PT404' using message = 'this link is used or over';
    end if;
  end if;
  update private.connection_attempts a set finished_at = v_now, held = null where a.state_hash = v_attempt.state_hash;
end
$$;
comment on function private.finish_connection(text) is
  'Ends a confirmed connection in the transaction that stores its grant: nothing is held any more, and its link is used up. Errors: 404 not confirmed, or the link was used meanwhile.';
revoke all on function private.finish_connection(text) from public, anon, authenticated;
grant execute on function private.finish_connection(text) to service_role;
