-- Purpose: the words in which money is told apart: its immutable facts as one text, their hash, free names; and the
-- lock under which it is matched.
-- Who may call: the functions that write the ledger. Locks: lock_model takes the model's row.

create or replace function private.transaction_values(
  p_source text, p_amount numeric, p_net numeric, p_currency text, p_fan text, p_message text, p_post text)
returns text
language sql
immutable
set search_path = ''
as $$
  select concat_ws('|', coalesce(p_source, ''), p_amount::text, coalesce(p_net::text, ''), coalesce(p_currency, ''),
                   coalesce(p_fan, ''), coalesce(p_message, ''), coalesce(p_post, ''))
$$;
comment on function private.transaction_values(text, numeric, numeric, text, text, text, text) is
  'The immutable fields of a transaction as one text: what tells two rows of one instant apart.';
revoke all on function private.transaction_values(text, numeric, numeric, text, text, text, text) from public, anon, authenticated;
grant execute on function private.transaction_values(text, numeric, numeric, text, text, text, text) to service_role;

create or replace function private.lock_model(p_model_id uuid)
returns void
language sql
set search_path = ''
as $$
  -- The row itself, not an advisory lock: the rollup writes it anyway, and two locks for one thing invite dead-locks.
  select from public.models m where m.id = p_model_id for no key update
$$;
comment on function private.lock_model(uuid) is
  'Serialises everything that matches money of one model, until the transaction ends. First of all locks: model, job, state.';
revoke all on function private.lock_model(uuid) from public, anon, authenticated;
grant execute on function private.lock_model(uuid) to service_role;

create or replace function private.as_uuid(p_text text)
returns text
language sql
immutable
set search_path = ''
as $$
  select case when lower(p_text) ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then lower(p_text) end
$$;
comment on function private.as_uuid(text) is 'A uuid in lower case, or null when the text is none.';
revoke all on function private.as_uuid(text) from public, anon, authenticated;
grant execute on function private.as_uuid(text) to service_role;

create or replace function private.fold_ids(p_rows jsonb)
returns jsonb
language plpgsql
immutable
set search_path = ''
as $$
begin
  -- nearly every page is folded already: it is handed on as it is
  if not exists (
    select from jsonb_array_elements(p_rows) r(item) cross join jsonb_each_text(r.item) k
    where (k.key like '%\_uuid' and k.value <> lower(k.value))
       or (k.key in ('fanvue_id', 'reverses_fanvue_id') and k.value <> coalesce(private.as_uuid(k.value), k.value))
       or (k.key = 'currency' and k.value <> upper(k.value))) then
    return p_rows;
  end if;
  return (
    select jsonb_agg(r.item || coalesce((
      select jsonb_object_agg(k.key, case when k.key = 'currency' then upper(k.value)
                                          when k.key like '%\_uuid' then lower(k.value)
                                          else coalesce(private.as_uuid(k.value), k.value) end)
      from jsonb_each_text(r.item) k
      where k.value is not null and (k.key in ('currency', 'fanvue_id', 'reverses_fanvue_id') or k.key like '%\_uuid')), '{}') order by r.ordinality)
    from jsonb_array_elements(p_rows) with ordinality r(item, ordinality));
end
$$;
comment on function private.fold_ids(jsonb) is
  'A page''s rows with the uuids of fans, messages, posts and payments in lower case, as events are read: one thing is one row, however its id is written.';
revoke all on function private.fold_ids(jsonb) from public, anon, authenticated;
grant execute on function private.fold_ids(jsonb) to service_role;

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
language sql
immutable
set search_path = ''
as $$
  -- with the instant: equal rows at other instants must not be given the same name
  select left(encode(sha256(convert_to(extract(epoch from p_at)::text || '|' || p_facts, 'UTF8')), 'hex'), 32)
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
