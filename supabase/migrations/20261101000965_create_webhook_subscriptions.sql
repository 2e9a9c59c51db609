-- Purpose: webhooks that were registered over Fanvue's API: each has a secret of its own, sealed here for the function to open.
-- Who may call: service_role (fanvue-sync webhooks, and the webhook function). Secrets pass through as sealed; nothing here looks inside.
-- Fanvue calls the address unsigned while it makes a subscription; a row in state registering says that this is expected.
-- Locks: the rows written.

create table private.webhook_subscriptions (
  id uuid primary key,
  model_id uuid not null references public.models (id) on delete cascade,
  fanvue_id text unique,
  url text not null,
  events text[] not null,
  secret text,
  state text not null,
  created_at timestamptz not null,
  changed_at timestamptz not null,
  expires_at timestamptz,
  unopened_at timestamptz,
  constraint webhook_subscriptions_state_check check (state in ('registering', 'active', 'retired')),
  constraint webhook_subscriptions_secret_check check ((state = 'registering') = (secret is null)),
  constraint webhook_subscriptions_expiry_check check ((state = 'active') = (expires_at is null))
);
create index webhook_subscriptions_unopened_at_idx on private.webhook_subscriptions (unopened_at) where unopened_at is not null;
comment on table private.webhook_subscriptions is
  'Webhooks registered with fanvue-sync webhooks: one subscription at Fanvue for one creator. Those made by hand in Fanvue''s dashboard are not here; their secret is in FANVUE_WEBHOOK_SECRETS.';
comment on column private.webhook_subscriptions.id is 'Ours, chosen before Fanvue is asked: the secret is sealed for it.';
comment on column private.webhook_subscriptions.model_id is 'The creator whose events it brings; its secret vouches for nobody else''s.';
comment on column private.webhook_subscriptions.fanvue_id is 'Fanvue''s id of the subscription.';
comment on column private.webhook_subscriptions.url is 'Where Fanvue delivers.';
comment on column private.webhook_subscriptions.events is 'The topics that were asked for; Fanvue''s list has those that the creator''s scopes allowed.';
comment on column private.webhook_subscriptions.secret is 'The signing secret, sealed (AES-256-GCM) and bound to this row.';
comment on column private.webhook_subscriptions.state is
  'registering: Fanvue is being asked, and may call unsigned. active. retired: rotated or deleted; its secret is accepted until expires_at, for what was on its way.';
comment on column private.webhook_subscriptions.changed_at is 'When state last changed.';
comment on column private.webhook_subscriptions.expires_at is 'registering: until when unsigned calls are let in. retired: until when its secret is accepted.';
comment on column private.webhook_subscriptions.unopened_at is 'When the function last said that it cannot open the secret, for want of the key; null: it can, or was not asked to.';
create index webhook_subscriptions_model_id_idx on private.webhook_subscriptions (model_id);
-- who is being asked for, and whether anybody has a secret, are looked up without reading the others
create index webhook_subscriptions_registering_idx on private.webhook_subscriptions (expires_at) where state = 'registering';
create index webhook_subscriptions_secrets_idx on private.webhook_subscriptions (model_id, created_at) where state <> 'registering';
revoke all on private.webhook_subscriptions from public, anon, authenticated;
grant select, insert, update, delete on private.webhook_subscriptions to service_role;

create table private.webhook_tests (
  id text primary key,
  received_at timestamptz not null
);
comment on table private.webhook_tests is
  'Test events of our own (fanvue-sync webhooks test, doctor) that came through the function. Looked up once and taken away; what nobody looks up goes within an hour.';
comment on column private.webhook_tests.id is 'The id that the asker chose.';
revoke all on private.webhook_tests from public, anon, authenticated;
grant select, insert, update, delete on private.webhook_tests to service_role;

-- Registering ------------------------------------------------------------------------------------------

create or replace function public.begin_webhook_registration(p_id uuid, p_model_id uuid, p_url text, p_events text[])
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
begin
  if not exists (select from public.models m where m.id = p_model_id) then
    raise sqlstate 'PT404' using message = format('no model %s', p_model_id), hint = 'fanvue-sync webhooks list names the creators';
  end if;
  -- what came to nothing, and what nobody signs with any more
  delete from private.webhook_subscriptions w where w.expires_at < v_now - interval '1 hour';
  insert into private.webhook_subscriptions (id, model_id, url, events, state, created_at, changed_at, expires_at)
  -- as long as one call to Fanvue can take, its own call of us included
  values (p_id, p_model_id, p_url, p_events, 'registering', v_now, v_now, v_now + interval '2 minutes')
  on conflict (id) do nothing;
end
$$;
comment on function public.begin_webhook_registration(uuid, uuid, text, text[]) is
  'Says that Fanvue is about to be asked for a subscription: for two minutes the function answers unsigned calls with "ready", and stores nothing of them. Repeated, it changes nothing.';
revoke all on function public.begin_webhook_registration(uuid, uuid, text, text[]) from public, anon, authenticated;
grant execute on function public.begin_webhook_registration(uuid, uuid, text, text[]) to service_role;

create or replace function public.finish_webhook_registration(p_id uuid, p_fanvue_id text, p_events text[], p_secret text)
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
  v_model_id uuid;
begin
  if p_secret not like 'fse1.%' then
    raise sqlstate 'PT422' using message = 'the secret is not sealed';
  end if;
  update private.webhook_subscriptions w
  set fanvue_id = p_fanvue_id, events = p_events, secret = p_secret, state = 'active', changed_at = v_now, expires_at = null
  where w.id = p_id and w.state = 'registering'
  returning w.model_id into v_model_id;
  if v_model_id is null and not exists (select from private.webhook_subscriptions w where w.id = p_id and w.fanvue_id = p_fanvue_id) then
    raise sqlstate 'PT409' using message = 'the registration was given up meanwhile', hint = 'register again';
  end if;
  if 'creator.payment.succeeded' = any (p_events) then
    insert into private.announced_models (model_id, since) select w.model_id, v_now from private.webhook_subscriptions w where w.id = p_id
    on conflict (model_id) do nothing;
  end if;
end
$$;
comment on function public.finish_webhook_registration(uuid, text, text[], text) is
  'Stores what Fanvue answered: its id and the sealed secret. From now on deliveries signed with it are accepted, and sales without an announcement are missed.';
revoke all on function public.finish_webhook_registration(uuid, text, text[], text) from public, anon, authenticated;
grant execute on function public.finish_webhook_registration(uuid, text, text[], text) to service_role;

create or replace function public.retire_webhook_subscription(p_id uuid, p_expect_none boolean default false)
returns void
language plpgsql
set search_path = ''
as $$
declare
  v_now timestamptz := private.engine_now();
begin
  delete from private.webhook_subscriptions w where w.id = p_id and w.state = 'registering';
  update private.webhook_subscriptions w
  -- longer than anybody was seen to repeat a delivery
  set state = 'retired', changed_at = v_now, expires_at = v_now + interval '3 days'
  where w.id = p_id and w.state = 'active';
  if p_expect_none then
    delete from private.announced_models a
    using private.webhook_subscriptions w
    where w.id = p_id and a.model_id = w.model_id
      and not exists (select from private.webhook_subscriptions o where o.model_id = w.model_id and o.state = 'active');
  end if;
end
$$;
comment on function public.retire_webhook_subscription(uuid, boolean) is
  'Gives up a registration, or retires a subscription: its secret is accepted for three days more. p_expect_none: announcements of the creator are missed no more.';
revoke all on function public.retire_webhook_subscription(uuid, boolean) from public, anon, authenticated;
grant execute on function public.retire_webhook_subscription(uuid, boolean) to service_role;

create or replace function public.reseal_webhook_secret(p_id uuid, p_from text, p_to text)
returns boolean
language plpgsql
set search_path = ''
as $$
begin
  update private.webhook_subscriptions w set secret = p_to, unopened_at = null where w.id = p_id and w.secret = p_from and p_to like 'fse1.%';
  return found;
end
$$;
comment on function public.reseal_webhook_secret(uuid, text, text) is 'Replaces a sealed secret by the same sealed anew; false when it changed meanwhile.';
revoke all on function public.reseal_webhook_secret(uuid, text, text) from public, anon, authenticated;
grant execute on function public.reseal_webhook_secret(uuid, text, text) to service_role;

create or replace function public.list_webhook_subscriptions()
returns jsonb
language plpgsql
stable
set search_path = ''
as $$
begin
  return (
  select coalesce(jsonb_agg(jsonb_build_object(
           'model_id', m.id, 'agency', a.name, 'creator', private.creator_name(m), 'handle', m.handle, 'creator_uuid', m.fanvue_user_uuid,
           'status', m.status, 'grant', case when m.connection_id is not null then 'agency' when private.has_grant(m) then 'own' else 'none' end,
           'subscriptions', s.rows) order by a.name, private.creator_name(m), m.id), '[]'::jsonb)
  from public.models m
  join public.agencies a on a.id = m.agency_id
  cross join lateral (
    select coalesce(jsonb_agg(jsonb_build_object(
             'id', w.id, 'fanvue_id', w.fanvue_id, 'url', w.url, 'events', w.events, 'secret', w.secret, 'state', w.state, 'since', w.changed_at,
             'unopened_at', w.unopened_at) order by w.created_at), '[]'::jsonb) as rows
    from private.webhook_subscriptions w
    where w.model_id = m.id and (w.state = 'registering' or coalesce(w.expires_at, 'infinity') > private.engine_now())
  ) s);
end
$$;
comment on function public.list_webhook_subscriptions() is
  'Every creator with the webhooks registered for them, secrets as sealed, for fanvue-sync webhooks, tokens rotate-key and doctor. service_role only.';
revoke all on function public.list_webhook_subscriptions() from public, anon, authenticated;
grant execute on function public.list_webhook_subscriptions() to service_role;

create or replace function public.take_webhook_test(p_id text, p_subscription_id uuid default null)
returns boolean
language plpgsql
set search_path = ''
as $$
begin
  delete from private.webhook_tests t where t.id = p_id;
  if not found then
    return false;
  end if;
  update private.webhook_subscriptions w set unopened_at = null where w.id = p_subscription_id and w.unopened_at is not null;
  return true;
end
$$;
comment on function public.take_webhook_test(text, uuid) is
  'Whether a test event arrived; its trace is taken away. One that was signed with a subscription''s secret proves that the function can open it.';
revoke all on function public.take_webhook_test(text, uuid) from public, anon, authenticated;
grant execute on function public.take_webhook_test(text, uuid) to service_role;

-- What the function asks --------------------------------------------------------------------------------

create or replace function public.webhook_gate(p_refused jsonb default '{}', p_unopened uuid[] default '{}', p_creator text default null)
returns jsonb
language plpgsql
set search_path = ''
set enable_seqscan = off
as $$
declare
  v_now timestamptz := private.engine_now();
  -- whatever a broken caller says, the counts stay counts
  v_most constant bigint := 1000000;
  v_wrong bigint := least(greatest(coalesce((p_refused ->> 'wrong_signature')::bigint, 0), 0), v_most);
  v_old bigint := least(greatest(coalesce((p_refused ->> 'too_old')::bigint, 0), 0), v_most);
  v_unset bigint := least(greatest(coalesce((p_refused ->> 'not_configured')::bigint, 0), 0), v_most);
  v_unsigned bigint := least(greatest(coalesce((p_refused ->> 'unsigned')::bigint, 0), 0), v_most);
  v_report uuid := private.as_uuid(p_refused ->> 'report')::uuid;
  -- one more than the function tries where a delivery names nobody
  v_secrets constant integer := 51;
  v_model_id uuid;
begin
  if v_wrong + v_old + v_unset + v_unsigned > 0
     and not exists (select from private.webhook_refusals r where r.minute > v_now - interval '1 hour' and v_report = any (r.reports)) then
    insert into private.webhook_refusals as r (minute, wrong_signature, too_old, not_configured, unsigned, last_at, reports)
    values (date_trunc('minute', v_now), v_wrong, v_old, v_unset, v_unsigned, v_now, array_remove(array[v_report], null))
    on conflict (minute) do update
      set wrong_signature = r.wrong_signature + excluded.wrong_signature, too_old = r.too_old + excluded.too_old,
          not_configured = r.not_configured + excluded.not_configured, unsigned = r.unsigned + excluded.unsigned, last_at = excluded.last_at,
          reports = (excluded.reports || r.reports)[1:100];
    delete from private.webhook_refusals r where r.minute < v_now - interval '2 days';
  end if;
  if cardinality(p_unopened) > 0 then
    update private.webhook_subscriptions w
    set unopened_at = v_now
    where w.id = any (p_unopened) and w.state = 'active' and coalesce(w.unopened_at, '-infinity') < v_now - interval '1 minute';
  end if;
  select m.id into v_model_id from public.models m where m.fanvue_user_uuid = lower(p_creator);
  return jsonb_build_object(
    'registering', exists (select from private.webhook_subscriptions w where w.state = 'registering' and w.expires_at > v_now),
    'awaited', exists (select from private.webhook_subscriptions w where w.model_id = v_model_id and w.state = 'registering' and w.expires_at > v_now),
    'any', exists (select from private.webhook_subscriptions w where w.state <> 'registering' and coalesce(w.expires_at, 'infinity') > v_now),
    'secrets', case when p_creator is null then
        (select coalesce(jsonb_agg(jsonb_build_object('id', s.id, 'creator', m.fanvue_user_uuid, 'sealed', s.secret)), '[]')
         from (select w.id, w.model_id, w.secret
               from private.webhook_subscriptions w
               where w.state <> 'registering' and coalesce(w.expires_at, 'infinity') > v_now
               limit v_secrets) s
         join public.models m on m.id = s.model_id)
      else
        (select coalesce(jsonb_agg(jsonb_build_object('id', s.id, 'creator', lower(p_creator), 'sealed', s.secret)), '[]')
         from (select w.id, w.secret
               from private.webhook_subscriptions w
               where w.model_id = v_model_id and w.state <> 'registering' and coalesce(w.expires_at, 'infinity') > v_now
               order by w.created_at desc
               limit v_secrets) s) end);
end
$$;
comment on function public.webhook_gate(jsonb, uuid[], text) is
  'What the webhook function knows of a creator for a minute: the sealed secrets of the webhooks registered for them, and whether Fanvue is being asked for one (awaited; for anybody: registering). '
  'Of nobody (null): some secrets of all, one more than are tried where a delivery names nobody. any: somebody has a webhook. '
  'By calls of their own, for which no delivery waits, the function tells what it refused since the last one ({wrong_signature, too_old, not_configured, unsigned, report}) and which secrets it could not open. The same report (a uuid) again, within an hour, counts once.';
revoke all on function public.webhook_gate(jsonb, uuid[], text) from public, anon, authenticated;
grant execute on function public.webhook_gate(jsonb, uuid[], text) to service_role;
