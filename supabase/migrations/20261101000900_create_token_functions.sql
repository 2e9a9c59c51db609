-- Purpose: OAuth grants: connecting a creator, refreshing single-flight across all workers, re-sealing.
-- Fanvue's refresh tokens are single-use with a 30 s grace; a second use later kills the whole chain. So a refresh is
-- leased for less than the grace, fenced, and stored by compare-and-swap on token_version before it is used.
-- Lifetimes come as seconds and are dated here, so that one clock, the database's, decides when a token is due.
-- Who may call: service_role only. Tokens pass through as stored (sealed); these functions never look inside.

create table private.token_refreshes (
  model_id uuid primary key references public.models (id) on delete cascade,
  fence bigint,
  holder text,
  started_at timestamptz,
  lease_until timestamptz,
  next_try_at timestamptz,
  suspect_at timestamptz,
  failures integer not null default 0,
  last_error text,
  last_refreshed_at timestamptz,
  refreshes bigint not null default 0
);
comment on table private.token_refreshes is 'Who refreshes which model''s grant right now, and how the last refreshes went.';
comment on column private.token_refreshes.lease_until is 'A refresher that is silent for so long is presumed dead; another may try within Fanvue''s 30 s grace.';
comment on column private.token_refreshes.suspect_at is 'First invalid_grant that no other refresh explains. A second one, later, is a verdict: the creator must reconnect.';
revoke all on private.token_refreshes from public, anon, authenticated;
grant select, insert, update, delete on private.token_refreshes to service_role;

create or replace function private.refresh_margin(p_model public.models)
returns interval
language sql
immutable
set search_path = ''
as $$
  -- min(24 h, max(5 min, 10 % of the lifetime)), never more than half the lifetime, plus up to a tenth of itself by a
  -- hash of the model, so that creators who connected together do not refresh together.
  select least(interval '24 hours', greatest(interval '5 minutes', l.lifetime * 0.1), l.lifetime * 0.5)
         * (1 + 0.1 * mod(abs(hashtext(p_model.id::text)::bigint), 100) / 100.0)
  from (select coalesce(p_model.fanvue_token_expires_at - p_model.fanvue_token_issued_at, interval '1 hour') as lifetime) l
$$;
comment on function private.refresh_margin(public.models) is 'How long before its expiry a model''s access token is refreshed.';
revoke all on function private.refresh_margin(public.models) from public, anon, authenticated;
grant execute on function private.refresh_margin(public.models) to service_role;

create or replace function private.demand_reauth(p_model_id uuid, p_reason text)
returns void
language sql
set search_path = ''
as $$
  -- The grant stays where it is: a human decides, nothing is erased.
  update public.models m
  set status = 'reauth_required', status_reason = p_reason
  where m.id = p_model_id and m.status = 'active'
$$;
comment on function private.demand_reauth(uuid, text) is 'Marks an active model as needing a reconnect; its grant is kept.';
revoke all on function private.demand_reauth(uuid, text) from public, anon, authenticated;
grant execute on function private.demand_reauth(uuid, text) to service_role;

create or replace function public.begin_token_refresh(
  p_model_id uuid, p_holder text, p_rejected_version bigint default null, p_lease_seconds integer default 12)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_refresh private.token_refreshes;
  v_model public.models;
  v_rejected boolean;
  v_usable boolean;
  v_ready jsonb;
begin
  insert into private.token_refreshes (model_id)
  select m.id from public.models m where m.id = p_model_id
  on conflict do nothing;
  select r.* into v_refresh from private.token_refreshes r where r.model_id = p_model_id for update;
  if not found then
    raise sqlstate 'PT404' using message = format('no model %s', p_model_id);
  end if;
  v_now := private.engine_now();
  select m.* into v_model from public.models m where m.id = p_model_id;
  if v_model.status = 'reauth_required' then
    return jsonb_build_object('state', 'reauth_required', 'reason', v_model.status_reason);
  end if;
  if coalesce(v_model.fanvue_access_token, v_model.fanvue_refresh_token) is null then
    return jsonb_build_object('state', 'missing');
  end if;

  v_rejected := p_rejected_version is not null and p_rejected_version = v_model.token_version;
  v_usable := v_model.fanvue_access_token is not null and not v_rejected
              and (v_model.fanvue_token_expires_at is null or v_model.fanvue_token_expires_at > v_now + interval '10 seconds');
  v_ready := jsonb_build_object('state', 'ready', 'access_token', v_model.fanvue_access_token,
                                'refresh_token', v_model.fanvue_refresh_token,
                                'version', v_model.token_version, 'expires_at', v_model.fanvue_token_expires_at,
                                -- the caller may keep the token that long before it asks again
                                'use_for_s', coalesce(round(extract(epoch from v_model.fanvue_token_expires_at
                                                            - private.refresh_margin(v_model) - v_now)::numeric, 3), 3600));
  if v_usable and (v_model.fanvue_token_expires_at is null
                   or v_model.fanvue_token_expires_at - private.refresh_margin(v_model) > v_now) then
    return v_ready;
  end if;
  if v_model.fanvue_refresh_token is null then
    if v_usable then
      return v_ready || jsonb_build_object('use_for_s', 60);
    end if;
    perform private.demand_reauth(p_model_id, 'the access token ended and there is no refresh token: the creator must connect again');
    return jsonb_build_object('state', 'reauth_required', 'reason', 'no refresh token');
  end if;

  if v_refresh.holder is not null and v_refresh.holder <> p_holder and v_refresh.lease_until <= v_now
     and v_now > v_refresh.started_at + interval '25 seconds'
     and v_refresh.lease_until <= v_refresh.started_at + interval '20 seconds' then
    -- Past Fanvue's grace a takeover kills the chain if the silent holder did rotate and only could not store: after an
    -- outage of ours it gets ten seconds, once, to store what it holds.
    update private.token_refreshes r set lease_until = v_now + interval '10 seconds' where r.model_id = p_model_id
    returning r.* into v_refresh;
  end if;
  if v_refresh.lease_until > v_now and v_refresh.holder is distinct from p_holder then
    if v_usable then
      return v_ready || jsonb_build_object('use_for_s', 5);
    end if;
    return jsonb_build_object('state', 'wait', 'retry_in_s', 0.5);
  end if;
  if v_refresh.next_try_at > v_now then
    if v_usable then
      return v_ready || jsonb_build_object('use_for_s', 5);
    end if;
    return jsonb_build_object('state', 'wait', 'retry_in_s', round(extract(epoch from v_refresh.next_try_at - v_now)::numeric, 3),
                              'reason', v_refresh.last_error);
  end if;

  update private.token_refreshes r
  set fence = nextval('private.lease_ids'), holder = p_holder, started_at = v_now,
      lease_until = v_now + make_interval(secs => p_lease_seconds)
  where r.model_id = p_model_id
  returning r.* into v_refresh;
  -- The dead man's switch: should this refresher die after Fanvue rotated the pair, another one tries within the grace.
  perform private.put_job(v_model, 'token_refresh', 0::smallint, v_refresh.lease_until + interval '1 second', v_now);
  return jsonb_build_object('state', 'refresh', 'fence', v_refresh.fence, 'version', v_model.token_version,
                            'access_token', v_model.fanvue_access_token, 'refresh_token', v_model.fanvue_refresh_token,
                            'expires_at', v_model.fanvue_token_expires_at);
end
$$;
comment on function public.begin_token_refresh(uuid, text, bigint, integer) is
  'What to call Fanvue with: ready (a token good for use_for_s seconds), refresh (you hold the refresh: fence), wait (another refreshes), reauth_required or missing. '
  'p_rejected_version: the version that Fanvue refused with 401. Tokens come as stored. The same holder again gets the refresh again.';
revoke all on function public.begin_token_refresh(uuid, text, bigint, integer) from public, anon, authenticated;
grant execute on function public.begin_token_refresh(uuid, text, bigint, integer) to service_role;

create or replace function private.end_refresh(p_model_id uuid, p_wait interval, p_error text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
begin
  update private.token_refreshes r
  set fence = null, holder = null, lease_until = null,
      next_try_at = case when p_wait is not null then p_now + p_wait end,
      failures = case when p_error is null then 0 else r.failures + 1 end,
      suspect_at = case when p_error is null then null else r.suspect_at end,
      last_error = p_error,
      last_refreshed_at = case when p_error is null then p_now else r.last_refreshed_at end,
      refreshes = r.refreshes + (p_error is null)::integer
  where r.model_id = p_model_id;
  -- the dead man's switch is off
  delete from public.sync_jobs j
  where j.model_id = p_model_id and j.sync_type = 'token_refresh' and j.state = 'queued';
end
$$;
comment on function private.end_refresh(uuid, interval, text, timestamptz) is 'Releases a refresh lease and notes how it went.';
revoke all on function private.end_refresh(uuid, interval, text, timestamptz) from public, anon, authenticated;
grant execute on function private.end_refresh(uuid, interval, text, timestamptz) to service_role;

create or replace function public.finish_token_refresh(
  p_model_id uuid, p_fence bigint, p_version bigint, p_access_token text, p_refresh_token text, p_expires_in_s numeric default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz;
  v_refresh private.token_refreshes;
  v_model public.models;
begin
  select r.* into v_refresh from private.token_refreshes r where r.model_id = p_model_id for update;
  if not found then
    raise sqlstate 'PT404' using message = format('no refresh of model %s was begun', p_model_id);
  end if;
  v_now := private.engine_now();
  select m.* into v_model from public.models m where m.id = p_model_id for no key update;
  if v_model.token_version = p_version + 1 and v_model.fanvue_refresh_token = p_refresh_token then
    return jsonb_build_object('state', 'stored', 'version', v_model.token_version);
  end if;
  if v_model.token_version <> p_version
     or (v_refresh.fence is distinct from p_fence and v_refresh.lease_until > v_now) then
    -- Another refresh stored its pair, or is about to store a later one: that one is the grant.
    return jsonb_build_object('state', 'moved', 'version', v_model.token_version);
  end if;
  update public.models m
  set fanvue_access_token = p_access_token, fanvue_refresh_token = p_refresh_token,
      fanvue_token_expires_at = v_now + make_interval(secs => p_expires_in_s::double precision), fanvue_token_issued_at = v_now, token_version = p_version + 1
  where m.id = p_model_id;
  perform private.end_refresh(p_model_id, null, null, v_now);
  return jsonb_build_object('state', 'stored', 'version', p_version + 1);
end
$$;
comment on function public.finish_token_refresh(uuid, bigint, bigint, text, text, numeric) is
  'Stores the new pair by compare-and-swap on the version it came from: stored, or moved when another refresh was first (load the grant again).';
revoke all on function public.finish_token_refresh(uuid, bigint, bigint, text, text, numeric) from public, anon, authenticated;
grant execute on function public.finish_token_refresh(uuid, bigint, bigint, text, text, numeric) to service_role;

create or replace function public.fail_token_refresh(
  p_model_id uuid, p_fence bigint, p_version bigint, p_kind text, p_message text)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz;
  v_refresh private.token_refreshes;
  v_version bigint;
  v_wait interval;
begin
  if p_kind not in ('transient', 'invalid_grant', 'config') then
    raise sqlstate 'PT422' using message = format('unknown kind of refresh failure %L', p_kind);
  end if;
  select r.* into v_refresh from private.token_refreshes r where r.model_id = p_model_id for update;
  if not found then
    raise sqlstate 'PT404' using message = format('no refresh of model %s was begun', p_model_id);
  end if;
  v_now := private.engine_now();
  select m.token_version into v_version from public.models m where m.id = p_model_id;
  -- The loser of a race is refused by Fanvue too: its verdict does not count.
  if v_version <> p_version or v_refresh.fence is distinct from p_fence then
    return jsonb_build_object('state', 'moved', 'version', v_version, 'retry_in_s', 0);
  end if;
  if p_kind = 'invalid_grant' then
    if v_refresh.suspect_at <= v_now - interval '5 seconds' then
      perform private.end_refresh(p_model_id, interval '1 hour', p_message, v_now);
      perform private.demand_reauth(p_model_id,
        'Fanvue refuses the refresh token (invalid_grant, confirmed): the creator must connect again');
      return jsonb_build_object('state', 'reauth_required', 'retry_in_s', null);
    end if;
    v_wait := interval '10 seconds';
    perform private.end_refresh(p_model_id, v_wait, p_message, v_now);
    update private.token_refreshes r set suspect_at = coalesce(r.suspect_at, v_now) where r.model_id = p_model_id;
    return jsonb_build_object('state', 'suspect', 'retry_in_s', extract(epoch from v_wait));
  end if;
  v_wait := case p_kind when 'config' then interval '5 minutes'
                        else least(interval '5 minutes', interval '2 seconds' * (2 ^ least(v_refresh.failures, 8))) end;
  perform private.end_refresh(p_model_id, v_wait, p_message, v_now);
  return jsonb_build_object('state', 'retry', 'retry_in_s', extract(epoch from v_wait));
end
$$;
comment on function public.fail_token_refresh(uuid, bigint, bigint, text, text) is
  'Notes a failed refresh: moved (another was first), retry, suspect (one unexplained invalid_grant) or reauth_required (confirmed). The grant is never erased.';
revoke all on function public.fail_token_refresh(uuid, bigint, bigint, text, text) from public, anon, authenticated;
grant execute on function public.fail_token_refresh(uuid, bigint, bigint, text, text) to service_role;

create or replace function public.seal_tokens(
  p_model_id uuid, p_access_from text, p_access_to text, p_refresh_from text, p_refresh_to text)
returns boolean
language plpgsql
set search_path = ''
as $$
begin
  -- Compare-and-swap on the stored values themselves: a refresh in between wins.
  update public.models m
  set fanvue_access_token = p_access_to, fanvue_refresh_token = p_refresh_to
  where m.id = p_model_id
    and m.fanvue_access_token is not distinct from p_access_from
    and m.fanvue_refresh_token is not distinct from p_refresh_from;
  return found;
end
$$;
comment on function public.seal_tokens(uuid, text, text, text, text) is
  'Replaces stored tokens by the same tokens sealed (first use of an older application''s plain tokens, or a new key). False when they changed meanwhile.';
revoke all on function public.seal_tokens(uuid, text, text, text, text) from public, anon, authenticated;
grant execute on function public.seal_tokens(uuid, text, text, text, text) to service_role;

-- Connecting -----------------------------------------------------------------------------------------

create or replace function public.connect_model(
  p_agency text, p_creator_uuid uuid, p_handle text default null, p_replace boolean default false, p_model_id uuid default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_agency_id uuid;
  v_count integer;
  v_model public.models;
  v_created boolean := false;
begin
  if btrim(coalesce(p_agency, '')) = '' then
    raise sqlstate 'PT422' using message = 'an agency needs a name';
  end if;
  -- two first connections of one agency must not make it twice
  perform pg_advisory_xact_lock(hashtextextended('fanvue-agency:' || lower(btrim(p_agency)), 0));
  perform pg_advisory_xact_lock(hashtextextended('fanvue-creator:' || p_creator_uuid::text, 0));
  select count(*), max(a.id::text)::uuid into v_count, v_agency_id
  from public.agencies a
  where a.id::text = lower(btrim(p_agency)) or a.name = btrim(p_agency);
  if v_count > 1 then
    raise sqlstate 'PT409' using message = format('%s agencies are called %L', v_count, btrim(p_agency)),
      hint = 'give the agency''s id instead of its name';
  end if;
  select m.* into v_model from public.models m where m.fanvue_user_uuid = p_creator_uuid::text for no key update;
  if found then
    if v_model.agency_id is distinct from v_agency_id then
      raise sqlstate 'PT409' using message = format('creator %s is connected by another agency', p_creator_uuid),
        hint = 'a creator belongs to one agency; remove the other model first';
    end if;
    if v_model.fanvue_refresh_token is not null and v_model.status <> 'reauth_required' and not p_replace then
      raise sqlstate 'PT409' using message = format('creator %s is connected already (model %s, %s)', p_creator_uuid, v_model.id, v_model.status),
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
      insert into public.agencies (name) values (btrim(p_agency)) returning id into v_agency_id;
    end if;
    insert into public.models (agency_id, fanvue_user_uuid, handle, status, status_reason)
    values (v_agency_id, p_creator_uuid::text, p_handle, 'paused', 'connecting: the grant is not stored yet')
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
comment on function public.connect_model(text, uuid, text, boolean, uuid) is
  'Finds or makes the agency (by name or id) and the model of a creator, ready for store_grant. p_model_id: the model it must be. Errors: 409 connected already or ambiguous agency, 422 no name.';
revoke all on function public.connect_model(text, uuid, text, boolean, uuid) from public, anon, authenticated;
grant execute on function public.connect_model(text, uuid, text, boolean, uuid) to service_role;

create or replace function public.store_grant(
  p_model_id uuid, p_version bigint, p_access_token text, p_refresh_token text, p_expires_in_s numeric default null)
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
  select m.* into v_model from public.models m where m.id = p_model_id for no key update;
  if not found then
    raise sqlstate 'PT404' using message = format('no model %s', p_model_id);
  end if;
  if v_model.token_version = p_version then
    update public.models m
    set fanvue_access_token = p_access_token, fanvue_refresh_token = p_refresh_token,
        fanvue_token_expires_at = v_now + make_interval(secs => p_expires_in_s::double precision), fanvue_token_issued_at = v_now, token_version = p_version + 1,
        status = 'active', status_reason = null, connected_at = v_now
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
  -- what Fanvue announced before she connected
  perform private.apply_parked(v_model.fanvue_user_uuid, v_now);
  select j.* into v_job from private.put_job(v_model, 'earnings', 100::smallint, v_now, v_now) j;
  return jsonb_build_object('version', v_model.token_version, 'job_id', v_job.id);
end
$$;
comment on function public.store_grant(uuid, bigint, text, text, numeric) is
  'Stores a fresh (sealed) grant, makes the model active and queues its first sync. Sent again, it changes nothing.';
revoke all on function public.store_grant(uuid, bigint, text, text, numeric) from public, anon, authenticated;
grant execute on function public.store_grant(uuid, bigint, text, text, numeric) to service_role;
