-- Purpose: connecting an agency: its administrator's grant, and the creators who are read through it.
-- Who may call: disconnect_account owners and admins; the others service_role. Tokens pass through as stored (sealed); these
-- functions never look inside.
-- Locks: advisory locks on agency and creators, the connection's row in token_refreshes, then connection and models. The
-- second one is held by whoever marks or attaches the models behind a connection, so that two of them never dead-lock.

create or replace function private.place_account(p_agency text, p_user_uuid uuid, p_fingerprint text, p_new_id uuid)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_agency_id uuid;
  v_created boolean := false;
  v_connection public.agency_connections;
begin
  v_agency_id := private.find_agency(p_agency);
  perform pg_advisory_xact_lock(hashtextextended('fanvue-account:' || p_user_uuid::text, 0));
  select c.* into v_connection from public.agency_connections c where c.fanvue_user_uuid = p_user_uuid::text;
  if found and v_connection.agency_id is distinct from v_agency_id then
    raise sqlstate 'PT409' using message = format('account %s is connected by another agency', p_user_uuid),
      hint = 'an account belongs to one agency; remove the other connection first';
  end if;
  if v_connection.id is null and p_fingerprint is null then
    raise sqlstate 'PT404' using message = format('account %s is not connected yet', p_user_uuid),
      hint = 'give the refresh token of its grant';
  end if;
  if v_connection.id is null then
    if v_agency_id is null then
      insert into public.agencies (name) values (private.agency_name(p_agency)) returning id into v_agency_id;
    end if;
    insert into public.agency_connections (id, agency_id, fanvue_user_uuid, status, reason_code, status_reason)
    values (p_new_id, v_agency_id, p_user_uuid::text, 'reauth_required', 'connecting', 'connecting: the grant is not stored yet')
    returning * into v_connection;
    v_created := true;
  end if;
  return jsonb_build_object(
    'agency_id', v_agency_id, 'connection_id', v_connection.id, 'token_version', v_connection.token_version,
    'created', v_created, 'status', v_connection.status,
    -- what was consented to before is not stored again: its refresh token has rotated since
    'repeated', v_connection.refresh_token is not null and coalesce(v_connection.consent_fingerprint = p_fingerprint, true));
end
$$;
comment on function private.place_account(text, uuid, text, uuid) is 'What connect_agency does; a new connection gets the id p_new_id.';
revoke all on function private.place_account(text, uuid, text, uuid) from public, anon, authenticated;
grant execute on function private.place_account(text, uuid, text, uuid) to service_role;

create or replace function public.connect_agency(p_agency text, p_user_uuid uuid, p_fingerprint text default null)
returns jsonb
language sql
set search_path = ''
as $$
  select private.place_account(p_agency, p_user_uuid, p_fingerprint, gen_random_uuid())
$$;
comment on function public.connect_agency(text, uuid, text) is
  'Finds or makes the agency (by name or id) and the connection of its administrator''s account, ready for store_connection. '
  'p_fingerprint: SHA-256 of the consent''s refresh token; repeated tells that it is stored already (null: there is one). Errors: 404 not connected and no token, 409 another agency''s or ambiguous, 422 no name.';
revoke all on function public.connect_agency(text, uuid, text) from public, anon, authenticated;
grant execute on function public.connect_agency(text, uuid, text) to service_role;

create or replace function public.try_connecting(
  p_kind text, p_agency text, p_account_uuid uuid, p_replace boolean default false, p_fingerprint text default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_agency_id uuid := private.find_agency(p_agency);
  v_place jsonb;
begin
  begin
    case p_kind
      when 'creator' then v_place := public.connect_model(p_agency, p_account_uuid, null, p_replace);
      when 'agency' then v_place := public.connect_agency(p_agency, p_account_uuid, p_fingerprint);
    end case;
    raise sqlstate 'FS001';
  exception when sqlstate 'FS001' then
    -- it would succeed; what it made is undone
    null;
  end;
  return jsonb_build_object(
    'new_agency', v_agency_id is null, 'new_account', (v_place ->> 'created')::boolean,
    'repeated', coalesce((v_place ->> 'repeated')::boolean, false),
    -- who types the first name of all cannot mean another one
    'agencies', (select count(*) from (select from public.agencies limit 1) a));
end
$$;
comment on function public.try_connecting(text, text, uuid, boolean, text) is
  'Goes through connect_model (p_kind creator) or connect_agency (agency) and writes nothing: new_agency and new_account tell that the real call would make one, '
  'agencies is 0 while there is none at all, repeated as connect_agency says it. Errors: those of the call.';
revoke all on function public.try_connecting(text, text, uuid, boolean, text) from public, anon, authenticated;
grant execute on function public.try_connecting(text, text, uuid, boolean, text) to service_role;

create or replace function public.store_connection(
  p_connection_id uuid, p_version bigint, p_access_token text, p_refresh_token text, p_expires_in_s numeric,
  p_fingerprint text, p_handle text default null, p_nonce_hash text default null)
returns jsonb
language plpgsql
set search_path = ''
-- models are taken by id, as everywhere
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  v_now timestamptz;
  v_grant private.grants;
  v_mended integer;
begin
  if coalesce(p_refresh_token, '') = '' then
    raise sqlstate 'PT422' using message = 'a grant needs a refresh token';
  end if;
  if p_nonce_hash is not null then
    perform private.make_place(p_nonce_hash, p_connection_id);
  end if;
  insert into private.token_refreshes (connection_id)
  select c.id from public.agency_connections c where c.id = p_connection_id
  on conflict do nothing;
  perform from private.token_refreshes r where r.grant_id = p_connection_id for update;
  if not found then
    raise sqlstate 'PT404' using message = format('no connection %s', p_connection_id);
  end if;
  v_now := private.engine_now();
  select g.* into v_grant from private.grants g where g.grant_id = p_connection_id;
  if p_nonce_hash is not null and not private.finish_connection(p_nonce_hash) then
    -- this very consent was stored before, and may have rotated since
    return jsonb_build_object('version', v_grant.version, 'mended', 0);
  end if;
  if v_grant.version = p_version and private.put_tokens(v_grant, p_access_token, p_refresh_token, p_expires_in_s, v_now) then
    update public.agency_connections c
    set status = 'active', reason_code = null, status_reason = null, connected_at = v_now, consent_fingerprint = p_fingerprint,
        handle = coalesce(p_handle, c.handle)
    where c.id = p_connection_id;
    -- A refresher that is under way finds its fence gone and is told that the grant moved.
    update private.token_refreshes r
    set fence = null, holder = null, lease_until = null, next_try_at = null, suspect_at = null, failures = 0, last_error = null
    where r.grant_id = p_connection_id;
  elsif v_grant.version <> p_version + 1 or v_grant.refresh_token is distinct from p_refresh_token then
    raise sqlstate 'PT409' using message = format('the grant of connection %s changed meanwhile', p_connection_id),
      hint = 'connect again';
  end if;
  with behind as materialized (
    select m.id
    from public.models m
    where m.connection_id = p_connection_id and m.status = 'reauth_required'
    order by m.id
    for no key update
  )
  update public.models m
  set status = 'active', reason_code = null, status_reason = null, connected_at = v_now
  from behind
  where m.id = behind.id;
  get diagnostics v_mended = row_count;
  return jsonb_build_object('version', p_version + 1, 'mended', v_mended);
end
$$;
comment on function public.store_connection(uuid, bigint, text, text, numeric, text, text, text) is
  'Stores a fresh (sealed) grant of an agency''s account and wakes every model behind it that waited for one. p_nonce_hash: the confirmed connection that ends with it, and whose row is made with p_connection_id if the account is new. Sent again, it changes nothing.';
revoke all on function public.store_connection(uuid, bigint, text, text, numeric, text, text, text) from public, anon, authenticated;
grant execute on function public.store_connection(uuid, bigint, text, text, numeric, text, text, text) to service_role;

create or replace function private.attach_creator(
  p_connection public.agency_connections, p_creator_uuid uuid, p_handle text, p_display_name text, p_replace boolean, p_now timestamptz)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_model public.models;
  v_outcome text;
  v_job public.sync_jobs;
begin
  perform pg_advisory_xact_lock(hashtextextended('fanvue-creator:' || p_creator_uuid::text, 0));
  select m.* into v_model from public.models m where m.fanvue_user_uuid = p_creator_uuid::text for no key update;
  if v_model.id is null then
    insert into public.models (agency_id, fanvue_user_uuid, handle, display_name, connection_id, connected_at)
    values (p_connection.agency_id, p_creator_uuid::text, p_handle, p_display_name, p_connection.id, p_now)
    returning * into v_model;
    v_outcome := 'created';
  elsif v_model.agency_id <> p_connection.agency_id then
    return jsonb_build_object('creator_uuid', p_creator_uuid, 'handle', p_handle, 'outcome', 'refused',
                              'message', format('creator %s is connected by another agency', p_creator_uuid));
  elsif v_model.connection_id = p_connection.id and v_model.status <> 'reauth_required' then
    v_outcome := 'unchanged';
    -- Fanvue lists the creator: what failed while it did not is tried at once, not hours later.
    perform from public.sync_state s where s.model_id = v_model.id order by s.sync_type for update;
    update public.sync_state s
    set next_sync_at = p_now
    where s.model_id = v_model.id and s.next_sync_at > p_now and s.last_error ->> 'kind' in ('not_found', 'gone');
  elsif not p_replace
        -- a grant of their own works, or an owner or admin disconnected them: on purpose only
        and (v_model.disconnected_at is not null
             or (v_model.connection_id is distinct from p_connection.id and private.has_grant(v_model) and v_model.status <> 'reauth_required')) then
    v_outcome := 'kept';
  else
    v_outcome := case when v_model.connection_id = p_connection.id then 'mended' else 'attached' end;
    update public.models m
    set connection_id = p_connection.id, connected_at = p_now, disconnected_at = null,
        status = private.status_with_grant(m),
        status_reason = case when private.status_with_grant(m) = 'paused' then m.status_reason end,
        reason_code = case when private.status_with_grant(m) = 'paused' then m.reason_code end,
        handle = coalesce(p_handle, m.handle), display_name = coalesce(m.display_name, p_display_name)
    where m.id = v_model.id
    returning m.* into v_model;
  end if;
  if v_outcome in ('created', 'attached', 'mended') and v_model.status = 'active' then
    v_job := private.put_job(v_model, 'earnings', 100::smallint, p_now, p_now, 'connect');
    -- what Fanvue announced before the creator was known
    perform private.apply_parked(v_model.fanvue_user_uuid, p_now);
  end if;
  return jsonb_build_object('creator_uuid', p_creator_uuid, 'model_id', v_model.id, 'handle', v_model.handle,
                            'outcome', v_outcome, 'status', v_model.status, 'job_id', v_job.id);
end
$$;
comment on function private.attach_creator(public.agency_connections, uuid, text, text, boolean, timestamptz) is
  'Lets one creator be read through a connection: created, attached, mended, unchanged, kept (a grant of their own works, or they were disconnected on purpose) or refused (another agency''s).';
revoke all on function private.attach_creator(public.agency_connections, uuid, text, text, boolean, timestamptz) from public, anon, authenticated;
grant execute on function private.attach_creator(public.agency_connections, uuid, text, text, boolean, timestamptz) to service_role;

create or replace function public.attach_creators(p_connection_id uuid, p_creators jsonb, p_replace boolean default false)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_connection public.agency_connections;
  v_outcomes jsonb := '[]'::jsonb;
  r record;
begin
  insert into private.token_refreshes (connection_id)
  select c.id from public.agency_connections c where c.id = p_connection_id
  on conflict do nothing;
  perform from private.token_refreshes t where t.grant_id = p_connection_id for update;
  update public.agency_connections c set listed_at = v_now where c.id = p_connection_id returning c.* into v_connection;
  if not found then
    raise sqlstate 'PT404' using message = format('no connection %s', p_connection_id);
  end if;
  if v_connection.status <> 'active' then
    raise sqlstate 'PT409' using message = format('connection %s is %s: %s', p_connection_id, v_connection.status, v_connection.status_reason),
      hint = 'connect the agency''s account again';
  end if;
  for r in
    select c.uuid, max(c.handle) as handle, max(c.display_name) as display_name
    from jsonb_to_recordset(p_creators) as c(uuid uuid, handle text, display_name text)
    -- by model, as everybody takes models and their jobs
    left join public.models m on m.fanvue_user_uuid = c.uuid::text
    group by m.id, c.uuid
    order by m.id nulls last, c.uuid
  loop
    v_outcomes := v_outcomes || private.attach_creator(v_connection, r.uuid, r.handle, r.display_name, p_replace, v_now);
  end loop;
  return v_outcomes;
end
$$;
comment on function public.attach_creators(uuid, jsonb, boolean) is
  'Lets creators [{uuid, handle?, display_name?}] be read through a connection and queues the first sync of new ones. One outcome per creator; a refusal of one does not stop the others. Sent again, it changes nothing.';
revoke all on function public.attach_creators(uuid, jsonb, boolean) from public, anon, authenticated;
grant execute on function public.attach_creators(uuid, jsonb, boolean) to service_role;

-- Disconnecting ------------------------------------------------------------------------------------

create or replace function private.disconnect_account_as_member(p_connection_id uuid)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_agency_id uuid := (select c.agency_id from public.agency_connections c
                       where c.id = p_connection_id and c.agency_id in (select private.member_agency_ids()));
begin
  if v_agency_id is null then
    -- disconnected already, or not theirs: the same answer, which tells a stranger nothing
    return jsonb_build_object('changed', false);
  end if;
  perform private.require_role(v_agency_id, array['owner', 'admin']);
  -- the grant's row before the connection's and the models', and these by id: as whoever attaches them
  insert into private.token_refreshes (connection_id)
  select c.id from public.agency_connections c where c.id = p_connection_id
  on conflict do nothing;
  perform from private.token_refreshes r where r.grant_id = p_connection_id for update;
  perform from public.models m where m.connection_id = p_connection_id order by m.id for no key update;
  delete from public.agency_connections c where c.id = p_connection_id and c.agency_id = v_agency_id;
  return jsonb_build_object('changed', found);
end
$$;
comment on function private.disconnect_account_as_member(uuid) is 'What disconnect_account does, with the right to delete the connection.';
revoke all on function private.disconnect_account_as_member(uuid) from public, anon;
grant execute on function private.disconnect_account_as_member(uuid) to authenticated;

create or replace function public.disconnect_account(p_connection_id uuid)
returns jsonb
language sql
set search_path = ''
as $$
  select private.disconnect_account_as_member(p_connection_id)
$$;
comment on function public.disconnect_account(uuid) is
  'Forgets the grant of the agency''s own account, as an owner or admin. Creators who were read through it go on with a grant of their own, or must be connected again; '
  'what was synced stays. changed false: there is none that is yours. Errors: 403.';
revoke all on function public.disconnect_account(uuid) from public, anon, authenticated;
grant execute on function public.disconnect_account(uuid) to authenticated;
