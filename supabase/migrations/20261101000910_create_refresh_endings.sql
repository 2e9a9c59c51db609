-- Purpose: how a refresh ends: stored, refused, or overtaken; re-sealing stored tokens; the list of all grants.
-- A grant id is a model's id (its own grant) or a connection's: whose tokens these are was told when the refresh began, so
-- that a model which changes its grant meanwhile cannot get the tokens of the other one.
-- Who may call: service_role only. Tokens pass through as stored (sealed); these functions never look inside.
-- Locks: the grant's row in token_refreshes first, then connection, models by id, jobs.

create or replace function private.put_tokens(
  p_grant private.grants, p_access_token text, p_refresh_token text, p_expires_in_s numeric, p_now timestamptz)
returns boolean
language plpgsql
set search_path = ''
as $$
declare
  v_expires_at timestamptz := p_now + make_interval(secs => p_expires_in_s::double precision);
begin
  if p_grant.connection_id is null then
    update public.models m
    set fanvue_access_token = p_access_token, fanvue_refresh_token = p_refresh_token,
        fanvue_token_expires_at = v_expires_at, fanvue_token_issued_at = p_now, token_version = p_grant.version + 1
    where m.id = p_grant.model_id and m.token_version = p_grant.version;
  else
    update public.agency_connections c
    set access_token = p_access_token, refresh_token = p_refresh_token,
        token_expires_at = v_expires_at, token_issued_at = p_now, token_version = p_grant.version + 1
    where c.id = p_grant.connection_id and c.token_version = p_grant.version;
  end if;
  return found;
end
$$;
comment on function private.put_tokens(private.grants, text, text, numeric, timestamptz) is
  'Writes a new pair over the grant as it was read; false when it has another version by now.';
revoke all on function private.put_tokens(private.grants, text, text, numeric, timestamptz) from public, anon, authenticated;
grant execute on function private.put_tokens(private.grants, text, text, numeric, timestamptz) to service_role;

create or replace function private.end_refresh(p_grant_id uuid, p_wait interval, p_error text, p_now timestamptz)
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_watch uuid;
begin
  update private.token_refreshes r
  set fence = null, holder = null, lease_until = null,
      next_try_at = case when p_wait is not null then p_now + p_wait end,
      failures = case when p_error is null then 0 else r.failures + 1 end,
      suspect_at = case when p_error is null then null else r.suspect_at end,
      last_error = p_error,
      last_refreshed_at = case when p_error is null then p_now else r.last_refreshed_at end,
      refreshes = r.refreshes + (p_error is null)::integer
  where r.grant_id = p_grant_id
  returning r.watch_model_id into v_watch;
  -- the dead man's switch is off
  delete from public.sync_jobs j
  where j.model_id = v_watch and j.sync_type = 'token_refresh' and j.state = 'queued';
end
$$;
comment on function private.end_refresh(uuid, interval, text, timestamptz) is 'Releases a refresh lease and notes how it went.';
revoke all on function private.end_refresh(uuid, interval, text, timestamptz) from public, anon, authenticated;
grant execute on function private.end_refresh(uuid, interval, text, timestamptz) to service_role;

create or replace function public.finish_token_refresh(
  p_grant_id uuid, p_fence bigint, p_version bigint, p_access_token text, p_refresh_token text, p_expires_in_s numeric default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz;
  v_refresh private.token_refreshes;
  v_grant private.grants;
begin
  select r.* into v_refresh from private.token_refreshes r where r.grant_id = p_grant_id for update;
  if not found then
    raise sqlstate 'PT404' using message = format('no refresh of grant %s was begun', p_grant_id);
  end if;
  v_now := private.engine_now();
  select g.* into v_grant from private.grants g where g.grant_id = p_grant_id;
  if v_grant.version = p_version + 1 and v_grant.refresh_token = p_refresh_token then
    return jsonb_build_object('state', 'stored', 'version', v_grant.version);
  end if;
  if v_grant.version <> p_version
     or (v_refresh.fence is distinct from p_fence and v_refresh.lease_until > v_now)
     or not private.put_tokens(v_grant, p_access_token, p_refresh_token, p_expires_in_s, v_now) then
    -- Another refresh stored its pair, or is about to store a later one: that one is the grant.
    return jsonb_build_object('state', 'moved', 'version', v_grant.version);
  end if;
  perform private.end_refresh(p_grant_id, null, null, v_now);
  return jsonb_build_object('state', 'stored', 'version', p_version + 1);
end
$$;
comment on function public.finish_token_refresh(uuid, bigint, bigint, text, text, numeric) is
  'Stores the new pair of a grant (begin''s sealed_for) by compare-and-swap on the version it came from: stored, or moved when another refresh was first (load the grant again).';
revoke all on function public.finish_token_refresh(uuid, bigint, bigint, text, text, numeric) from public, anon, authenticated;
grant execute on function public.finish_token_refresh(uuid, bigint, bigint, text, text, numeric) to service_role;

create or replace function public.fail_token_refresh(
  p_grant_id uuid, p_fence bigint, p_version bigint, p_kind text, p_message text, p_retry_after_s numeric default null)
returns jsonb
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz;
  v_refresh private.token_refreshes;
  v_grant private.grants;
  v_wait interval;
begin
  if p_kind not in ('transient', 'throttled', 'invalid_grant', 'config') then
    raise sqlstate 'PT422' using message = format('unknown kind of refresh failure %L', p_kind);
  end if;
  select r.* into v_refresh from private.token_refreshes r where r.grant_id = p_grant_id for update;
  if not found then
    raise sqlstate 'PT404' using message = format('no refresh of grant %s was begun', p_grant_id);
  end if;
  v_now := private.engine_now();
  select g.* into v_grant from private.grants g where g.grant_id = p_grant_id;
  -- The loser of a race is refused by Fanvue too: its verdict does not count.
  if v_grant.version <> p_version or v_refresh.fence is distinct from p_fence then
    return jsonb_build_object('state', 'moved', 'version', v_grant.version, 'retry_in_s', 0);
  end if;
  if p_kind = 'throttled' then
    -- A rate limit is no failure: the refresh waits, and whoever still has a usable token goes on with it.
    perform public.block_bucket(private.account_bucket(p_grant_id), greatest(coalesce(p_retry_after_s, 60), 1), '/oauth2/token');
    perform private.end_refresh(p_grant_id, null, p_message, v_now);
    update private.token_refreshes r set failures = v_refresh.failures where r.grant_id = p_grant_id;
    return jsonb_build_object('state', 'throttled', 'retry_in_s', extract(epoch from private.refresh_closed_until(p_grant_id) - v_now));
  end if;
  if p_kind = 'invalid_grant' then
    if v_refresh.suspect_at <= v_now - interval '5 seconds' then
      perform private.end_refresh(p_grant_id, interval '1 hour', p_message, v_now);
      perform private.demand_reauth(p_grant_id, 'access_refused', format(
        'Fanvue refuses the refresh token (invalid_grant, confirmed): %s must connect again',
        case when v_grant.connection_id is null then 'the creator' else 'the agency''s account' end));
      return jsonb_build_object('state', 'reauth_required', 'retry_in_s', null);
    end if;
    v_wait := interval '10 seconds';
    perform private.end_refresh(p_grant_id, v_wait, p_message, v_now);
    update private.token_refreshes r set suspect_at = coalesce(r.suspect_at, v_now) where r.grant_id = p_grant_id;
    return jsonb_build_object('state', 'suspect', 'retry_in_s', extract(epoch from v_wait));
  end if;
  v_wait := case p_kind when 'config' then interval '5 minutes'
                        else least(interval '5 minutes', interval '2 seconds' * (2 ^ least(v_refresh.failures, 8))) end;
  perform private.end_refresh(p_grant_id, v_wait, p_message, v_now);
  return jsonb_build_object('state', 'retry', 'retry_in_s', extract(epoch from v_wait));
end
$$;
comment on function public.fail_token_refresh(uuid, bigint, bigint, text, text, numeric) is
  'Notes a failed refresh of a grant (begin''s sealed_for): moved (another was first), retry, throttled (Fanvue said 429: nobody refreshes this account for p_retry_after_s), suspect (one unexplained invalid_grant) or reauth_required (confirmed; for a connection all its active models at once). The grant is never erased.';
revoke all on function public.fail_token_refresh(uuid, bigint, bigint, text, text, numeric) from public, anon, authenticated;
grant execute on function public.fail_token_refresh(uuid, bigint, bigint, text, text, numeric) to service_role;

create or replace function public.seal_tokens(
  p_grant_id uuid, p_access_from text, p_access_to text, p_refresh_from text, p_refresh_to text)
returns boolean
language plpgsql
set search_path = ''
as $$
begin
  -- Compare-and-swap on the stored values themselves: a refresh in between wins.
  update public.models m
  set fanvue_access_token = p_access_to, fanvue_refresh_token = p_refresh_to
  where m.id = p_grant_id
    and m.fanvue_access_token is not distinct from p_access_from
    and m.fanvue_refresh_token is not distinct from p_refresh_from;
  if found then
    return true;
  end if;
  update public.agency_connections c
  set access_token = p_access_to, refresh_token = p_refresh_to
  where c.id = p_grant_id
    and c.access_token is not distinct from p_access_from
    and c.refresh_token is not distinct from p_refresh_from;
  return found;
end
$$;
comment on function public.seal_tokens(uuid, text, text, text, text) is
  'Replaces a grant''s stored tokens by the same tokens sealed (first use of an older application''s plain tokens, or a new key). False when they changed meanwhile.';
revoke all on function public.seal_tokens(uuid, text, text, text, text) from public, anon, authenticated;
grant execute on function public.seal_tokens(uuid, text, text, text, text) to service_role;

create or replace function public.list_grants(p_after uuid default null, p_limit integer default 500)
returns jsonb
language sql
stable
set search_path = ''
as $$
  select coalesce(jsonb_agg(to_jsonb(x) order by x.grant_id), '[]'::jsonb)
  from (
    select g.grant_id, g.model_id, g.connection_id, a.name as agency, g.handle, g.status, g.status_reason,
           g.access_token, g.refresh_token, g.expires_at, g.version, g.in_use,
           case when g.connection_id is not null
                then (select count(*) from public.models m where m.connection_id = g.connection_id)
                else g.in_use::integer end as creators,
           r.last_refreshed_at, r.failures, r.last_error
    from private.grants g
    join public.agencies a on a.id = g.agency_id
    left join private.token_refreshes r on r.grant_id = g.grant_id
    where coalesce(g.access_token, g.refresh_token) is not null and (p_after is null or g.grant_id > p_after)
    order by g.grant_id
    limit p_limit
  ) x
$$;
comment on function public.list_grants(uuid, integer) is
  'Grants as stored, models'' own and agencies'' connections, a page at a time by grant_id, for `tokens status` and `tokens rotate-key`. service_role only.';
revoke all on function public.list_grants(uuid, integer) from public, anon, authenticated;
grant execute on function public.list_grants(uuid, integer) to service_role;
