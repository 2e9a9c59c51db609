-- Purpose: OAuth grants: whose they are, and refreshing them single-flight across all workers.
-- A grant is a model's own or an agency's connection, which serves many models; a model id stands for the grant behind it.
-- Fanvue's refresh tokens are single-use with a 30 s grace; a second use later kills the whole chain. So a refresh is
-- leased for less than the grace, fenced, and stored by compare-and-swap on the version before it is used.
-- Lifetimes come as seconds and are dated here, so that one clock, the database's, decides when a token is due.
-- Who may call: service_role only. Tokens pass through as stored (sealed); these functions never look inside.
-- Locks: the grant's row in token_refreshes first, then connection, models by id, jobs.

create or replace view private.grants with (security_invoker = true) as
  select m.id as grant_id, m.id as model_id, null::uuid as connection_id, m.agency_id, m.handle, m.status, m.reason_code, m.status_reason,
         m.fanvue_access_token as access_token, m.fanvue_refresh_token as refresh_token,
         m.fanvue_token_expires_at as expires_at, m.fanvue_token_issued_at as issued_at, m.token_version as version,
         m.connection_id is null as in_use
  from public.models m
  union all
  select c.id, null, c.id, c.agency_id, c.handle, c.status, c.reason_code, c.status_reason,
         c.access_token, c.refresh_token, c.token_expires_at, c.token_issued_at, c.token_version, true
  from public.agency_connections c;
comment on view private.grants is
  'Every grant under one id: a model''s own (grant_id is the model''s id; not in_use while the model is read through a connection) or a connection''s.';
revoke all on private.grants from public, anon, authenticated;
grant select on private.grants to service_role;

create table private.token_refreshes (
  grant_id uuid generated always as (coalesce(model_id, connection_id)) stored primary key,
  model_id uuid unique references public.models (id) on delete cascade,
  connection_id uuid unique references public.agency_connections (id) on delete cascade,
  fence bigint,
  holder text,
  started_at timestamptz,
  lease_until timestamptz,
  next_try_at timestamptz,
  suspect_at timestamptz,
  failures integer not null default 0,
  last_error text,
  last_refreshed_at timestamptz,
  refreshes bigint not null default 0,
  watch_model_id uuid,
  constraint token_refreshes_one_grant_check check (num_nonnulls(model_id, connection_id) = 1)
);
comment on table private.token_refreshes is 'Who refreshes which grant right now, and how the last refreshes went.';
comment on column private.token_refreshes.lease_until is 'A refresher that is silent for so long is presumed dead; another may try within Fanvue''s 30 s grace.';
comment on column private.token_refreshes.suspect_at is 'First invalid_grant that no other refresh explains. A second one, later, is a verdict: the account must reconnect.';
comment on column private.token_refreshes.watch_model_id is 'The model whose token_refresh job takes over should the refresher die. No foreign key: a model that is gone watches nothing.';
revoke all on private.token_refreshes from public, anon, authenticated;
grant select, insert, update, delete on private.token_refreshes to service_role;

create or replace function private.refresh_margin(p_grant private.grants)
returns interval
language sql
immutable
set search_path = ''
as $$
  -- min(24 h, max(5 min, 10 % of the lifetime)), never more than half the lifetime, plus up to a tenth of itself by a
  -- hash of the grant, so that accounts which connected together do not refresh together.
  select least(interval '24 hours', greatest(interval '5 minutes', l.lifetime * 0.1), l.lifetime * 0.5)
         * (1 + 0.1 * mod(abs(hashtext(p_grant.grant_id::text)::bigint), 100) / 100.0)
  from (select coalesce(p_grant.expires_at - p_grant.issued_at, interval '1 hour') as lifetime) l
$$;
comment on function private.refresh_margin(private.grants) is 'How long before its expiry an access token is refreshed.';
revoke all on function private.refresh_margin(private.grants) from public, anon, authenticated;
grant execute on function private.refresh_margin(private.grants) to service_role;

create or replace function private.account_bucket(p_grant_id uuid)
returns text
language sql
stable
set search_path = ''
as $$
  select 'user:' || coalesce((select c.fanvue_user_uuid from public.agency_connections c where c.id = p_grant_id),
                             (select m.fanvue_user_uuid from public.models m where m.id = p_grant_id), p_grant_id::text)
$$;
comment on function private.account_bucket(uuid) is 'The rate-limit bucket of a grant''s own account.';
revoke all on function private.account_bucket(uuid) from public, anon, authenticated;
grant execute on function private.account_bucket(uuid) to service_role;

create or replace function private.refresh_closed_until(p_grant_id uuid)
returns timestamptz
language sql
stable
set search_path = ''
as $$
  select max(e.blocked_until)
  from private.api_endpoints e
  where e.bucket = private.account_bucket(p_grant_id) and e.endpoint in ('', '/oauth2/token')
$$;
comment on function private.refresh_closed_until(uuid) is
  'Until when Fanvue refuses to refresh a grant because it was asked too often (429); null or the past: it does not.';
revoke all on function private.refresh_closed_until(uuid) from public, anon, authenticated;
grant execute on function private.refresh_closed_until(uuid) to service_role;

create or replace function private.demand_reauth(p_grant_id uuid, p_code text, p_reason text)
returns void
language sql
set search_path = ''
-- the order in which models are taken is the order of their ids, as everywhere: no plan that shuffles them
set enable_hashjoin = off
set enable_mergejoin = off
as $$
  -- The grant stays where it is: a human decides, nothing is erased.
  with dead as (
    update public.agency_connections c
    set status = 'reauth_required', reason_code = p_code, status_reason = p_reason
    where c.id = p_grant_id and c.status = 'active'
  ), behind as materialized (
    select m.id
    from public.models m
    where (m.connection_id = p_grant_id or (m.id = p_grant_id and m.connection_id is null)) and m.status = 'active'
    order by m.id
    for no key update
  )
  update public.models m
  set status = 'reauth_required', reason_code = p_code, status_reason = p_reason
  from behind
  where m.id = behind.id
$$;
comment on function private.demand_reauth(uuid, text, text) is
  'Marks a grant, and in the same statement every active model behind it, as needing a reconnect; the grant is kept.';
revoke all on function private.demand_reauth(uuid, text, text) from public, anon, authenticated;
grant execute on function private.demand_reauth(uuid, text, text) to service_role;

create or replace function public.begin_token_refresh(
  p_model_id uuid, p_holder text, p_rejected_version bigint default null, p_lease_seconds integer default 12)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz;
  v_refresh private.token_refreshes;
  v_model public.models;
  v_grant private.grants;
  v_usable boolean;
  v_margin interval;
  v_ready jsonb;
  v_closed_until timestamptz;
begin
  select m.* into v_model from public.models m where m.id = p_model_id;
  insert into private.token_refreshes (model_id, connection_id)
  select g.model_id, g.connection_id from private.grants g where g.grant_id = coalesce(v_model.connection_id, p_model_id)
  on conflict do nothing;
  select r.* into v_refresh from private.token_refreshes r
  where r.grant_id = coalesce(v_model.connection_id, p_model_id) for update;
  if not found then
    raise sqlstate 'PT404' using message = format('no model or connection %s', p_model_id);
  end if;
  v_now := private.engine_now();
  -- read once the wait for the lock is over: a reconnect may just have ended
  select m.* into v_model from public.models m where m.id = p_model_id;
  select g.* into v_grant from private.grants g where g.grant_id = v_refresh.grant_id;
  if v_grant.status = 'reauth_required' then
    -- a model that was resumed or attached meanwhile learns it too
    perform private.demand_reauth(v_grant.grant_id, v_grant.reason_code, v_grant.status_reason);
    return jsonb_build_object('state', 'reauth_required', 'reason', v_grant.status_reason);
  end if;
  if v_model.status = 'reauth_required' then
    return jsonb_build_object('state', 'reauth_required', 'reason', v_model.status_reason);
  end if;
  if coalesce(v_grant.access_token, v_grant.refresh_token) is null then
    return jsonb_build_object('state', 'missing');
  end if;

  v_margin := private.refresh_margin(v_grant);
  v_usable := v_grant.access_token is not null and p_rejected_version is distinct from v_grant.version
              and (v_grant.expires_at is null or v_grant.expires_at > v_now + interval '10 seconds');
  v_ready := jsonb_build_object('state', 'ready', 'sealed_for', v_grant.grant_id, 'access_token', v_grant.access_token,
                                'refresh_token', v_grant.refresh_token,
                                'version', v_grant.version, 'expires_at', v_grant.expires_at,
                                -- the caller may keep the token that long before it asks again
                                'use_for_s', coalesce(round(extract(epoch from v_grant.expires_at - v_margin - v_now)::numeric, 3), 3600));
  if v_usable and (v_grant.expires_at is null or v_grant.expires_at - v_margin > v_now) then
    return v_ready;
  end if;
  if v_grant.refresh_token is null then
    if v_usable then
      return v_ready || jsonb_build_object('use_for_s', 60);
    end if;
    perform private.demand_reauth(v_grant.grant_id, 'access_ended', 'the access token ended and there is no refresh token: the account must connect again');
    return jsonb_build_object('state', 'reauth_required', 'reason', 'no refresh token');
  end if;

  if v_refresh.holder is not null and v_refresh.holder <> p_holder and v_refresh.lease_until <= v_now
     and v_now > v_refresh.started_at + interval '25 seconds'
     and v_refresh.lease_until <= v_refresh.started_at + interval '20 seconds' then
    -- Past Fanvue's grace a takeover kills the chain if the silent holder did rotate and only could not store: after an
    -- outage of ours it gets ten seconds, once, to store what it holds.
    update private.token_refreshes r set lease_until = v_now + interval '10 seconds' where r.grant_id = v_refresh.grant_id
    returning r.* into v_refresh;
  end if;
  if v_refresh.lease_until > v_now and v_refresh.holder is distinct from p_holder then
    if v_usable then
      return v_ready || jsonb_build_object('use_for_s', 5);
    end if;
    return jsonb_build_object('state', 'wait', 'sealed_for', v_grant.grant_id, 'retry_in_s', 0.5);
  end if;
  v_closed_until := private.refresh_closed_until(v_grant.grant_id);
  if v_closed_until > v_now then
    if v_usable then
      return v_ready || jsonb_build_object('use_for_s', 5);
    end if;
    return jsonb_build_object('state', 'wait', 'sealed_for', v_grant.grant_id, 'throttled', true,
                              'reason', 'Fanvue''s rate limit for refreshing tokens is spent',
                              'retry_in_s', round(extract(epoch from v_closed_until - v_now)::numeric, 3));
  end if;
  if v_refresh.next_try_at > v_now then
    if v_usable then
      return v_ready || jsonb_build_object('use_for_s', 5);
    end if;
    return jsonb_build_object('state', 'wait', 'sealed_for', v_grant.grant_id, 'reason', v_refresh.last_error,
                              'retry_in_s', round(extract(epoch from v_refresh.next_try_at - v_now)::numeric, 3));
  end if;

  if v_model.id is null then
    -- asked by the connection's own id: any active model behind it can keep watch
    select m.* into v_model from public.models m
    where m.connection_id = v_grant.connection_id and m.status = 'active' order by m.id limit 1;
  end if;
  update private.token_refreshes r
  set fence = nextval('private.lease_ids'), holder = p_holder, started_at = v_now,
      lease_until = v_now + make_interval(secs => p_lease_seconds), watch_model_id = v_model.id
  where r.grant_id = v_refresh.grant_id
  returning r.* into v_refresh;
  if v_model.id is not null then
    -- The dead man's switch: should this refresher die after Fanvue rotated the pair, another one tries within the grace.
    perform private.put_job(v_model, 'token_refresh', 0::smallint, v_refresh.lease_until + interval '1 second', v_now, 'refresh');
  end if;
  return jsonb_build_object('state', 'refresh', 'sealed_for', v_grant.grant_id, 'fence', v_refresh.fence, 'version', v_grant.version,
                            'access_token', v_grant.access_token, 'refresh_token', v_grant.refresh_token,
                            'expires_at', v_grant.expires_at);
end
$$;
comment on function public.begin_token_refresh(uuid, text, bigint, integer) is
  'What to call Fanvue with for a model (or a connection): ready (a token good for use_for_s seconds), refresh (you hold the refresh: fence), wait (another refreshes, or throttled: Fanvue''s rate limit), reauth_required or missing. '
  'sealed_for: the grant behind it, to which the tokens are sealed and which finish, fail and seal take. '
  'p_rejected_version: the version that Fanvue refused with 401. Tokens come as stored. The same holder again gets the refresh again.';
revoke all on function public.begin_token_refresh(uuid, text, bigint, integer) from public, anon, authenticated;
grant execute on function public.begin_token_refresh(uuid, text, bigint, integer) to service_role;
