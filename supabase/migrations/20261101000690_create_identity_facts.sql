-- Purpose: the words in which money is told apart: its immutable facts as one text, their hash, free names; what is
-- known again although a part of it could not be read; and the lock under which it is matched.
-- Who may call: the functions that write the ledger. Locks: lock_model takes the model's row.

-- PL/pgSQL: it is asked for each row, and in SQL a call costs five times as much.
create or replace function private.transaction_values(
  p_source text, p_amount numeric, p_net numeric, p_currency text, p_fan text, p_message text, p_post text)
returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return concat_ws('|', coalesce(p_source, ''), p_amount::text, coalesce(p_net::text, ''), coalesce(p_currency, ''),
                   coalesce(p_fan, ''), coalesce(p_message, ''), coalesce(p_post, ''));
end
$$;
comment on function private.transaction_values(text, numeric, numeric, text, text, text, text) is
  'The immutable fields of a transaction as one text: what tells two rows of one instant apart.';
revoke all on function private.transaction_values(text, numeric, numeric, text, text, text, text) from public, anon, authenticated;
grant execute on function private.transaction_values(text, numeric, numeric, text, text, text, text) to service_role;

create or replace function private.lock_model(p_model_id uuid)
returns void
language plpgsql
set search_path = ''
as $$
begin
  -- The row itself, not an advisory lock: the rollup writes it anyway, and two locks for one thing invite dead-locks.
  perform from public.models m where m.id = p_model_id for no key update;
end
$$;
comment on function private.lock_model(uuid) is
  'Serialises everything that matches money of one model, until the transaction ends. First of all locks: model, job, state.';
revoke all on function private.lock_model(uuid) from public, anon, authenticated;
grant execute on function private.lock_model(uuid) to service_role;

create or replace function private.lock_page(p_job_id bigint)
returns void
language plpgsql
set search_path = ''
as $$
begin
  perform private.share_erasures(j.agency_id) from public.sync_jobs j where j.id = p_job_id;
  perform private.lock_model(j.model_id) from public.sync_jobs j where j.id = p_job_id;
  -- The model may have gone to another agency while this waited for it; else this gate is held already. Tried, not waited for:
  -- who closes a gate waits for models.
  if exists (select from public.sync_jobs j
             where j.id = p_job_id and not pg_try_advisory_xact_lock_shared(private.erasure_gate(j.agency_id))) then
    raise sqlstate '55P03' using message = format('the model of job %s went to another agency, which erases a fan just now', p_job_id),
      hint = 'send the page again';
  end if;
end
$$;
comment on function private.lock_page(bigint) is
  'What a page of a job takes before it writes: its agency''s gate of erasures, so that no fan is erased meanwhile, then the model. 55P03: to be sent again.';
revoke all on function private.lock_page(bigint) from public, anon, authenticated;
grant execute on function private.lock_page(bigint) to service_role;

create or replace function private.as_uuid(p_text text)
returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  return case when lower(p_text) ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then lower(p_text) end;
end
$$;
comment on function private.as_uuid(text) is 'A uuid in lower case, or null when the text is none.';
revoke all on function private.as_uuid(text) from public, anon, authenticated;
grant execute on function private.as_uuid(text) to service_role;

create or replace function private.fold_id(p_id text)
returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- other numbers than uuids may mean something by their case
  return case when lower(p_id) ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(:refund|:chargeback)?$' then lower(p_id) else p_id end;
end
$$;
comment on function private.fold_id(text) is 'The id of a payment, or of a reversal that bears its sale''s, in lower case where it is a uuid.';
revoke all on function private.fold_id(text) from public, anon, authenticated;
grant execute on function private.fold_id(text) to service_role;

create or replace function private.fold_ids(p_rows jsonb)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- nearly every page is folded already: one look at its text, then it is handed on as it is
  if p_rows::text !~ '"([a-z_]*_uuid|fanvue_id|reverses_fanvue_id)": "([^"\\]|\\.)*[[:upper:]]|"currency": "([^"\\]|\\.)*[[:lower:]]' then
    return p_rows;
  end if;
  return (
    select jsonb_agg(r.item || coalesce((
      select jsonb_object_agg(k.key, case when k.key = 'currency' then upper(k.value)
                                          when k.key like '%\_uuid' then lower(k.value)
                                          else private.fold_id(k.value) end)
      from jsonb_each_text(r.item) k
      where k.value is not null and (k.key in ('currency', 'fanvue_id', 'reverses_fanvue_id') or k.key like '%\_uuid')), '{}') order by r.ordinality)
    from jsonb_array_elements(p_rows) with ordinality r(item, ordinality));
end
$$;
comment on function private.fold_ids(jsonb) is
  'A page''s rows with the uuids of fans, messages, posts and payments in lower case, as events are read: one thing is one row, however its id is written.';
revoke all on function private.fold_ids(jsonb) from public, anon, authenticated;
grant execute on function private.fold_ids(jsonb) to service_role;

create type private.listed_transaction as (
  fanvue_id text, source text, category text, amount numeric(14, 2), net numeric(14, 2), currency text, status text,
  fan_uuid text, fan_handle text, message_uuid text, post_uuid text, reverses_fanvue_id text, at timestamptz,
  sent_fan text, recalled uuid
);
comment on type private.listed_transaction is
  'One transaction as a page lists it. sent_fan: whom Fanvue named, where that fan is erased; recalled: the ledger row that it is known to be.';

create or replace function private.same_money(
  p_api numeric, p_api_net numeric, p_told numeric, p_told_net numeric, p_reversal boolean)
returns boolean
language sql
immutable
set search_path = ''
as $$
  -- A reversal may be told at what the fan's card got back, tax and fees included, and is rare enough to be known by that.
  select coalesce(p_api = p_told or p_api_net = p_told_net
                  or (p_reversal and p_told between p_api * 1.5 and p_api), false)
$$;
comment on function private.same_money(numeric, numeric, numeric, numeric, boolean) is
  'Whether a webhook''s amounts and an API row''s can be the same money, both in US dollars.';
revoke all on function private.same_money(numeric, numeric, numeric, numeric, boolean) from public, anon, authenticated;
grant execute on function private.same_money(numeric, numeric, numeric, numeric, boolean) to service_role;

create or replace function private.transaction_hash(p_at timestamptz, p_facts text)
returns text
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- with the instant: equal rows at other instants must not be given the same name
  return left(encode(sha256(convert_to(extract(epoch from p_at)::text || '|' || p_facts, 'UTF8')), 'hex'), 32);
end
$$;
comment on function private.transaction_hash(timestamptz, text) is 'Names a row that Fanvue gives no id, from its instant and its immutable fields.';
revoke all on function private.transaction_hash(timestamptz, text) from public, anon, authenticated;
grant execute on function private.transaction_hash(timestamptz, text) to service_role;

create or replace function private.free_ordinal(p_taken integer[], p_nth bigint)
returns bigint
language sql
immutable
set search_path = ''
as $$
  select g.n
  from generate_series(1::bigint, cardinality(p_taken) + p_nth) g(n)
  where g.n <> all (p_taken)
  order by g.n
  offset p_nth - 1 limit 1
$$;
comment on function private.free_ordinal(integer[], bigint) is
  'The n-th positive number that is not taken: a row that was lost comes back under the name it had.';
revoke all on function private.free_ordinal(integer[], bigint) from public, anon, authenticated;
grant execute on function private.free_ordinal(integer[], bigint) to service_role;

create or replace function private.likeness(p_one text[], p_other text[])
returns integer
language sql
immutable
set search_path = ''
as $$
  -- who paid and for what says more than in which coin
  select case when bool_or(x.one <> x.other) then null else coalesce(sum(x.weight) filter (where x.one = x.other), 0) end
  from unnest(p_one, p_other, array[1, 1, 2, 4, 4, 4]) x(one, other, weight)
$$;
comment on function private.likeness(text[], text[]) is
  'How much two readings of a transaction have in common: net, currency, source, fan, message, post, null where one could not be read. Null when they contradict.';
revoke all on function private.likeness(text[], text[]) from public, anon, authenticated;
grant execute on function private.likeness(text[], text[]) to service_role;

create or replace function private.recall_rows(p_model_id uuid, p_rows jsonb, p_border uuid[])
returns jsonb
language plpgsql
stable
set search_path = ''
-- plans must not depend on statistics that were taken while the ledger was small
set enable_seqscan = off
as $$
declare
  v_pair record;
  v_rows bigint[] := '{}'::bigint[];
  v_ids uuid[] := '{}'::uuid[];
begin
  -- nearly every row is a sale with an id, here and there: it is known by that
  if not exists (select from jsonb_array_elements(p_rows) r(item)
                 where r.item ->> 'fanvue_id' is null or (r.item ->> 'amount')::numeric < 0)
     and not exists (
       select
       from (select distinct (r.item ->> 'at')::timestamptz as at from jsonb_array_elements(p_rows) r(item)) a
       cross join lateral (select x.fanvue_id from public.fanvue_transactions x
                           where x.model_id = p_model_id and x.fanvue_created_at = a.at offset 0) t
       where t.fanvue_id like 'h:%') then
    return p_rows;
  end if;
  for v_pair in
    with listed as (
      select x.ordinality as n, x.fanvue_id as base_id, x.fanvue_id is null as nameless, x.at, x.amount,
             count(*) over (partition by x.at, i.own_id, x.amount < 0) as under_id, i.own_id,
             private.transaction_values(x.source, x.amount, x.net, x.currency, x.fan_uuid, x.message_uuid, x.post_uuid) as facts,
             array[x.net::text, x.currency, nullif(x.source, 'unknown'), x.fan_uuid, x.message_uuid, x.post_uuid] as details
      from jsonb_populate_recordset(null::private.listed_transaction, p_rows) with ordinality x
      -- a reversal bears its sale's id with a suffix, or one of its own without, as Fanvue says what it reverses or does not
      cross join lateral (select regexp_replace(x.fanvue_id, ':(refund|chargeback)$', '') as own_id) i
    ), stored as (
      select t.id, b.base_id, i.own_id, t.fanvue_id, t.fanvue_id like 'h:%' as nameless, t.fanvue_created_at as at, t.amount,
             count(*) over (partition by t.fanvue_created_at, i.own_id, t.amount < 0) as under_id,
             private.transaction_values(t.source, t.amount, t.net_amount, t.currency, t.fan_uuid, t.message_uuid, t.post_uuid) as facts,
             array[t.net_amount::text, t.currency, nullif(t.source, 'unknown'), t.fan_uuid, t.message_uuid, t.post_uuid] as details
      from (select distinct l.at from listed l) a
      cross join lateral (select x.* from public.fanvue_transactions x
                          where x.model_id = p_model_id and x.fanvue_created_at = a.at and x.origin = 'api' offset 0) t
      cross join lateral (select regexp_replace(t.fanvue_id, '#[0-9a-f]{8}$', '') as base_id) b
      cross join lateral (select regexp_replace(b.base_id, ':(refund|chargeback)$', '') as own_id) i
      where t.id <> all (p_border)
    ), same as (
      select l.n, s.id from listed l join stored s on s.at = l.at and s.base_id = l.base_id and s.facts = l.facts
    ), named as (
      -- named by one id, once here and once there: no equal of a row that came without its id, if that has others
      select l.n, s.id
      from listed l
      join stored s on s.at = l.at and s.own_id = l.own_id and s.amount = l.amount and (s.base_id, s.facts) <> (l.base_id, l.facts)
      where l.under_id = 1 and s.under_id = 1 and private.likeness(l.details, s.details) is not null
        and (select count(*) from stored e where e.at = s.at and e.facts = s.facts and e.id <> s.id)
            >= (select count(*) from listed e where e.at = s.at and e.facts = s.facts and e.nameless)
    ), loose_in as (
      select l.*, row_number() over (partition by l.at, l.facts, l.nameless order by l.n) as place
      from listed l
      where not exists (select from same k where k.n = l.n) and not exists (select from named k where k.n = l.n)
    ), loose_stored as (
      select s.*, row_number() over (partition by s.at, s.facts, s.nameless order by s.fanvue_id) as place
      from stored s
      where not exists (select from same k where k.id = s.id) and not exists (select from named k where k.id = s.id)
    ), tally as (
      select x.at, x.facts, count(*) filter (where x.is_in and not x.nameless) as named_in, count(*) filter (where x.is_in and x.nameless) as nameless_in,
             count(*) filter (where not x.is_in and not x.nameless) as named, count(*) filter (where not x.is_in and x.nameless) as nameless
      from (select i.at, i.facts, true as is_in, i.nameless from loose_in i
            union all
            select s.at, s.facts, false, s.nameless from loose_stored s) x
      group by x.at, x.facts
    ), open_in as (
      -- what has no equal in the ledger: a row with an id takes one without, a row without one any, those with an id first
      select i.*
      from loose_in i
      join tally t on t.at = i.at and t.facts = i.facts
      where i.place > case when i.nameless then t.named + greatest(0, t.nameless - t.named_in) else t.nameless end
    ), open_stored as (
      select s.*
      from loose_stored s
      join tally t on t.at = s.at and t.facts = s.facts
      where s.place > case when s.nameless then t.named_in + greatest(0, t.nameless_in - t.named) else t.nameless_in end
    )
    select k.n, k.id, null::integer as alike from named k
    union all
    select i.n, s.id, x.alike
    from open_in i
    join open_stored s on s.at = i.at and s.amount = i.amount and (i.nameless or s.nameless)
    cross join lateral private.likeness(i.details, s.details) x(alike)
    where x.alike is not null
    order by alike desc nulls first, n, id
  loop
    continue when v_pair.n = any (v_rows) or v_pair.id = any (v_ids);
    v_rows := array_append(v_rows, v_pair.n);
    v_ids := array_append(v_ids, v_pair.id);
    p_rows := jsonb_set(p_rows, array[(v_pair.n - 1)::text, 'recalled'], to_jsonb(v_pair.id));
  end loop;
  return p_rows;
end
$$;
comment on function private.recall_rows(uuid, jsonb, uuid[]) is
  'A page''s rows, with recalled: the ledger row that one is although facts of either could not be read. Same instant and amount, nothing that '
  'contradicts, no id that tells them apart, and neither has an equal elsewhere. Best likeness first; each is taken once.';
revoke all on function private.recall_rows(uuid, jsonb, uuid[]) from public, anon, authenticated;
grant execute on function private.recall_rows(uuid, jsonb, uuid[]) to service_role;
