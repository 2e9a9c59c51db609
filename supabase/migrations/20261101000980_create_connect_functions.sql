-- Purpose: connecting: a creator with a grant of their own, or an agency whose administrator's grant serves many creators.
-- Who may call: service_role only. Tokens pass through as stored (sealed); these functions never look inside.
-- Locks: advisory locks on agency and creator, the grant's row in token_refreshes, then connection and models. Who stores a confirmed
-- grant has a model's row in token_refreshes before the advisory locks, and the attempt and its link last.

create or replace function private.agency_name(p_name text)
returns text
language sql
immutable
set search_path = ''
as $$
  -- the same letters have two spellings in Unicode, and keyboards write both
  select btrim(normalize(p_name, nfc))
$$;
comment on function private.agency_name(text) is 'An agency''s name as it is stored and compared: one spelling of each letter (NFC), no spaces around it.';
revoke all on function private.agency_name(text) from public, anon, authenticated;
grant execute on function private.agency_name(text) to service_role;

create or replace function private.find_agency(p_agency text)
returns uuid
language plpgsql
set search_path = ''
as $$
declare
  v_name text := private.agency_name(p_agency);
  v_agency_id uuid;
  v_count integer;
begin
  if coalesce(v_name, '') = '' then
    raise sqlstate 'PT422' using message = 'an agency needs a name';
  end if;
  -- two first connections of one agency must not make it twice
  perform pg_advisory_xact_lock(hashtextextended('fanvue-agency:' || lower(v_name), 0));
  -- An id is an id, whatever others are called: no name can stand in its way.
  select a.id into v_agency_id from public.agencies a where a.id = private.as_uuid(v_name)::uuid;
  if found then
    return v_agency_id;
  end if;
  select count(*), max(a.id::text)::uuid into v_count, v_agency_id
  from public.agencies a
  where private.agency_name(a.name) = v_name;
  if v_count > 1 then
    raise sqlstate 'PT409' using message = format('%s agencies are called %L', v_count, v_name),
      hint = 'give the agency''s id instead of its name';
  end if;
  if v_count = 0 and private.as_uuid(v_name) is not null then
    raise sqlstate 'PT404' using message = format('no agency has the id %s', v_name), hint = 'a new agency is made by its name; fanvue-sync creators lists those there are';
  end if;
  return v_agency_id;
end
$$;
comment on function private.find_agency(text) is
  'The id of the agency with this id or name, the id first; null when there is none of that name; nobody else makes it until the transaction ends. Errors: 404 no such id, 409 ambiguous, 422 no name.';
revoke all on function private.find_agency(text) from public, anon, authenticated;
grant execute on function private.find_agency(text) to service_role;

create or replace function private.place_model(
  p_agency text, p_creator_uuid uuid, p_handle text, p_replace boolean, p_model_id uuid, p_new_id uuid)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_agency_id uuid;
  v_model public.models;
  v_created boolean := false;
begin
  v_agency_id := private.find_agency(p_agency);
  perform pg_advisory_xact_lock(hashtextextended('fanvue-creator:' || p_creator_uuid::text, 0));
  select m.* into v_model from public.models m where m.fanvue_user_uuid = p_creator_uuid::text for no key update;
  if found then
    if v_model.agency_id is distinct from v_agency_id then
      raise sqlstate 'PT409' using message = format('creator %s is connected by another agency', p_creator_uuid),
        hint = 'a creator belongs to one agency; remove the other model first';
    end if;
    if (v_model.connection_id is not null or v_model.fanvue_refresh_token is not null)
       and v_model.status <> 'reauth_required' and not p_replace then
      raise sqlstate 'PT409' using message = format('creator %s is connected already%s (model %s, %s)', p_creator_uuid,
          case when v_model.connection_id is not null then ' through the agency''s account' else '' end, v_model.id, v_model.status),
        hint = 'to replace its grant, connect with --replace';
    end if;
  elsif p_model_id is not null then
    -- A model of an older application that never knew its creator's uuid learns it now.
    update public.models m
    set fanvue_user_uuid = p_creator_uuid::text
    where m.id = p_model_id and m.agency_id = v_agency_id and m.fanvue_user_uuid is null
    returning m.* into v_model;
  else
    if v_agency_id is null then
      insert into public.agencies (name) values (private.agency_name(p_agency)) returning id into v_agency_id;
    end if;
    insert into public.models (id, agency_id, fanvue_user_uuid, handle, status, status_reason, reason_code)
    values (p_new_id, v_agency_id, p_creator_uuid::text, p_handle, 'paused', 'connecting: the grant is not stored yet', 'connecting')
    returning * into v_model;
    v_created := true;
  end if;
  if p_model_id is not null and v_model.id is distinct from p_model_id then
    raise sqlstate 'PT412' using message = format('model %s is another creator''s', p_model_id),
      hint = 'connect as the creator of this model';
  end if;
  if p_handle is not null and v_model.handle is distinct from p_handle then
    update public.models m set handle = p_handle where m.id = v_model.id;
  end if;
  return jsonb_build_object('agency_id', v_agency_id, 'model_id', v_model.id, 'token_version', v_model.token_version,
                            'created', v_created);
end
$$;
comment on function private.place_model(text, uuid, text, boolean, uuid, uuid) is
  'What connect_model does; a new model gets the id p_new_id.';
revoke all on function private.place_model(text, uuid, text, boolean, uuid, uuid) from public, anon, authenticated;
grant execute on function private.place_model(text, uuid, text, boolean, uuid, uuid) to service_role;

create or replace function public.connect_model(
  p_agency text, p_creator_uuid uuid, p_handle text default null, p_replace boolean default false, p_model_id uuid default null)
returns jsonb
language sql
set search_path = ''
as $$
  select private.place_model(p_agency, p_creator_uuid, p_handle, p_replace, p_model_id, gen_random_uuid())
$$;
comment on function public.connect_model(text, uuid, text, boolean, uuid) is
  'Finds or makes the agency (by name or id) and the model of a creator, ready for store_grant. p_model_id: the model it must be. Errors: 409 connected already or ambiguous agency, 422 no name.';
revoke all on function public.connect_model(text, uuid, text, boolean, uuid) from public, anon, authenticated;
grant execute on function public.connect_model(text, uuid, text, boolean, uuid) to service_role;

create or replace function public.store_grant(
  p_model_id uuid, p_version bigint, p_access_token text, p_refresh_token text, p_expires_in_s numeric default null, p_nonce_hash text default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_model public.models;
  v_job public.sync_jobs;
begin
  if coalesce(p_refresh_token, '') = '' then
    raise sqlstate 'PT422' using message = 'a grant needs a refresh token';
  end if;
  perform 1 from private.token_refreshes r where r.model_id = p_model_id for update;
  if p_nonce_hash is not null then
    perform private.make_place(p_nonce_hash, p_model_id);
  end if;
  select m.* into v_model from public.models m where m.id = p_model_id for no key update;
  if not found then
    raise sqlstate 'PT404' using message = format('no model %s', p_model_id);
  end if;
  if p_nonce_hash is not null then
    -- refuses when the link was used meanwhile: then nothing below is kept
    perform private.finish_connection(p_nonce_hash);
  end if;
  if v_model.token_version = p_version then
    update public.models m
    set fanvue_access_token = p_access_token, fanvue_refresh_token = p_refresh_token,
        fanvue_token_expires_at = v_now + make_interval(secs => p_expires_in_s::double precision), fanvue_token_issued_at = v_now, token_version = p_version + 1,
        status = private.status_with_grant(m),
        status_reason = case when private.status_with_grant(m) = 'paused' then m.status_reason end,
        reason_code = case when private.status_with_grant(m) = 'paused' then m.reason_code end,
        connected_at = v_now, disconnected_at = null,
        -- a creator's own consent goes before the agency's
        connection_id = null
    where m.id = p_model_id
    returning m.* into v_model;
    -- A refresher that is under way finds its fence gone and is told that the grant moved.
    update private.token_refreshes r
    set fence = null, holder = null, lease_until = null, next_try_at = null, suspect_at = null, failures = 0, last_error = null
    where r.model_id = p_model_id;
  elsif v_model.token_version <> p_version + 1 or v_model.fanvue_refresh_token is distinct from p_refresh_token then
    raise sqlstate 'PT409' using message = format('the grant of model %s changed meanwhile', p_model_id),
      hint = 'connect again';
  end if;
  if v_model.status = 'active' then
    -- the first of the streams whose polls events bring forward: taken in that order, as everywhere
    select j.* into v_job from private.put_job(v_model, 'earnings', 100::smallint, v_now, v_now, 'connect') j;
  end if;
  -- what Fanvue announced before the creator connected
  perform private.apply_parked(v_model.fanvue_user_uuid, v_now);
  return jsonb_build_object('version', v_model.token_version, 'job_id', v_job.id, 'status', v_model.status);
end
$$;
comment on function public.store_grant(uuid, bigint, text, text, numeric, text) is
  'Stores a fresh (sealed) grant, makes the model active and queues its first sync; a model that an operator paused stays paused (no job_id). '
  'p_nonce_hash: the confirmed connection that ends with it, and whose model is made with p_model_id if they are new. Sent again, it changes nothing.';
revoke all on function public.store_grant(uuid, bigint, text, text, numeric, text) from public, anon, authenticated;
grant execute on function public.store_grant(uuid, bigint, text, text, numeric, text) to service_role;

create or replace function private.follow_connection()
returns trigger
language plpgsql
security definer
set search_path = ''
as $$
begin
  update public.sync_jobs j
  set bucket = private.bucket_of(new)
  where j.model_id = new.id and j.state in ('queued', 'dead') and j.bucket is distinct from private.bucket_of(new);
  -- A model that lost its only grant says so, unless it is on its way out together with its agency.
  if new.status = 'active' and not private.has_grant(new)
     and exists (select from public.agencies a where a.id = new.agency_id) then
    update public.models m
    set status = 'reauth_required', reason_code = 'agency_access_lost', status_reason = 'the agency''s grant serves this creator no more: connect them again'
    where m.id = new.id and m.status = 'active';
  end if;
  return null;
end
$$;
comment on function private.follow_connection() is
  'The waiting jobs of a model that changed its grant draw on the new grant''s budget; a model left without one needs a reconnect.';
revoke all on function private.follow_connection() from public, anon, authenticated;
-- Without a list of columns: a trigger before it may be what changed the connection.
create trigger models_follow_connection
  after update on public.models
  for each row when (new.connection_id is distinct from old.connection_id)
  execute function private.follow_connection();

-- Disconnecting ------------------------------------------------------------------------------------

create or replace function private.disconnect_as_member(p_model_id uuid)
returns jsonb
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_agency_id uuid := (select m.agency_id from public.models m where m.id = p_model_id and m.agency_id in (select private.member_agency_ids()));
  v_model public.models;
begin
  if v_agency_id is null then
    raise sqlstate 'PT404' using message = 'no such model in your agencies';
  end if;
  perform private.require_role(v_agency_id, array['owner', 'admin']);
  -- the grant's row before the model's, as whoever stores a grant
  perform from private.token_refreshes r where r.model_id = p_model_id for update;
  select m.* into v_model from public.models m where m.id = p_model_id and m.agency_id = v_agency_id for no key update;
  if not found then
    raise sqlstate 'PT404' using message = 'no such model in your agencies';
  end if;
  -- an operator's pause says nothing of what the agency wants
  if not private.has_grant(v_model) and v_model.status = 'paused' and (v_model.disconnected_at is not null or v_model.reason_code = 'connecting') then
    return jsonb_build_object('changed', false);
  end if;
  update public.models m
  set fanvue_access_token = null, fanvue_refresh_token = null, fanvue_token_expires_at = null, fanvue_token_issued_at = null,
      -- a refresh under way finds that the grant moved
      token_version = m.token_version + 1, connection_id = null, disconnected_at = private.engine_now(), status = 'paused',
      reason_code = case when private.status_with_grant(m) = 'paused' then m.reason_code else 'disconnected' end,
      status_reason = case when private.status_with_grant(m) = 'paused' then m.status_reason else 'an owner or admin disconnected it' end
  where m.id = p_model_id;
  update private.token_refreshes r
  set fence = null, holder = null, lease_until = null, next_try_at = null, suspect_at = null, failures = 0, last_error = null
  where r.model_id = p_model_id;
  return jsonb_build_object('changed', true);
end
$$;
comment on function private.disconnect_as_member(uuid) is 'What disconnect_creator does, with the right to write the model.';
revoke all on function private.disconnect_as_member(uuid) from public, anon;
grant execute on function private.disconnect_as_member(uuid) to authenticated;

create or replace function public.disconnect_creator(p_model_id uuid)
returns jsonb
language sql
set search_path = ''
as $$
  select private.disconnect_as_member(p_model_id)
$$;
comment on function public.disconnect_creator(uuid) is
  'Forgets a creator''s grant and stops their syncing, as an owner or admin; what was synced stays. Only a new consent of the creator brings it back. changed false: not connected. Errors: 403, 404.';
revoke all on function public.disconnect_creator(uuid) from public, anon, authenticated;
grant execute on function public.disconnect_creator(uuid) to authenticated;
