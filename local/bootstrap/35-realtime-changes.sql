-- What postgres_changes keeps inside the database: who listens to which table with which filter and
-- as whom, and the function that says who may see a change. Names, types and rules as on hosted
-- Supabase; written from its documented behaviour. Local only: never part of the migrations.

create type realtime.equality_op as enum ('eq', 'neq', 'lt', 'lte', 'gt', 'gte', 'in');

create type realtime.user_defined_filter as (
  column_name text,
  op realtime.equality_op,
  value text
);

create function realtime.to_regrole(role_name text) returns regrole
language sql immutable
as $$ select role_name::regrole $$;

create table realtime.subscription (
  id bigint generated always as identity primary key,
  subscription_id uuid not null,
  entity regclass not null,
  filters realtime.user_defined_filter[] not null default '{}',
  claims jsonb not null,
  claims_role regrole not null generated always as (realtime.to_regrole(claims ->> 'role')) stored,
  created_at timestamp not null default timezone('utc', now()),
  action_filter text not null default '*'
    check (action_filter in ('*', 'INSERT', 'UPDATE', 'DELETE'))
);
create unique index subscription_subscription_id_entity_idx
on realtime.subscription (subscription_id, entity);
create index subscription_entity_idx on realtime.subscription (entity);

alter table realtime.subscription owner to supabase_realtime_admin;
grant select on realtime.subscription to postgres, anon, authenticated, service_role;

-- A type by its own name: `character` would cut a value to one letter, `bpchar` does not.
create function realtime.type_name(type_oid oid) returns text
language sql stable
as $$
  select format('%I.%I', n.nspname, t.typname)
  from pg_type t
  join pg_namespace n on n.oid = t.typnamespace
  where t.oid = type_oid
$$;

-- A value as the database prints it, as the JSON that clients get.
create function realtime.cast_value(value text, type_oid oid) returns jsonb
language plpgsql stable
as $$
declare
  document jsonb;
begin
  if value is null then
    return 'null';
  end if;
  execute format('select to_jsonb(%L::%s)', value, realtime.type_name(type_oid)) into document;
  return document;
end
$$;

create function realtime.matches(filter realtime.user_defined_filter, type_oid oid, value text)
returns boolean
language plpgsql stable
as $$
declare
  type_name text := realtime.type_name(type_oid);
  test text;
  answer boolean;
begin
  test := case filter.op
    when 'in' then format('%L::%s = any(%L::%s[])', value, type_name, filter.value, type_name)
    else format(
      '%L::%s %s %L::%s',
      value,
      type_name,
      case filter.op
        when 'eq' then '='
        when 'neq' then '<>'
        when 'lt' then '<'
        when 'lte' then '<='
        when 'gt' then '>'
        else '>='
      end,
      filter.value,
      type_name
    )
  end;
  execute format('select %s', test) into answer;
  return coalesce(answer, false);
end
$$;

-- Refuses a filter on a column that its owner may not read, and a value that is not of its type.
create function realtime.subscription_check_filters() returns trigger
language plpgsql
as $$
declare
  filter realtime.user_defined_filter;
  column_type oid;
begin
  foreach filter in array new.filters loop
    column_type := realtime.readable_column(new.claims_role, new.entity, filter.column_name);
    if column_type is null then
      raise exception 'invalid column for filter %', filter.column_name;
    elsif filter.op = 'in' and cardinality(filter.value::text[]) > 100 then
      raise exception 'too many values for `in` filter. Maximum 100';
    end if;
    perform realtime.matches(filter, column_type, null);
  end loop;
  return new;
end
$$;

create function realtime.readable_column(role regrole, entity regclass, column_name text)
returns oid
language sql stable
as $$
  select a.atttypid
  from pg_attribute a
  where a.attrelid = entity
    and a.attname = column_name
    and a.attnum > 0
    and not a.attisdropped
    and has_column_privilege(role, entity, a.attnum, 'SELECT')
$$;

-- Generated columns are not there yet before the insert, so the check comes after it.
create trigger tr_check_filters
after insert or update on realtime.subscription
for each row execute function realtime.subscription_check_filters();

-- Whether a subscriber sees the row with this key now, under his role and claims.
create function realtime.is_visible(entity regclass, role regrole, claims jsonb, condition text)
returns boolean
language plpgsql
as $$
declare
  found_row boolean;
begin
  perform set_config('role', (select rolname from pg_roles where oid = role), true),
    set_config('request.jwt.claims', claims::text, true);
  execute format('select exists (select from %s where %s)', entity, condition) into found_row;
  perform set_config('role', 'none', true);
  return found_row;
exception
  when others then
    -- What was set is undone together with the failed query.
    raise warning 'policy of % failed: %', entity, sqlerrm;
    return false;
end
$$;

-- One change in, one row per role of subscribers: what they get, and who of them may see it. `wal` is a
-- change in the shape of wal2json: action, schema, table, timestamp, columns and identity, values as text.
create function realtime.apply_rls(wal jsonb)
returns table (data jsonb, subscription_ids uuid[])
language plpgsql
as $$
declare
  entity_ regclass := to_regclass(format('%I.%I', wal ->> 'schema', wal ->> 'table'));
  action_ text := case wal ->> 'action' when 'I' then 'INSERT' when 'U' then 'UPDATE' when 'D' then 'DELETE' end;
  rls boolean;
  key_condition text;
  key_columns text[];
  refusal text;
  listeners record;
  readable text[];
begin
  if entity_ is null or action_ is null then
    return;
  end if;
  select c.relrowsecurity into rls from pg_class c where c.oid = entity_;
  select array_agg(a.attname::text) into key_columns
  from pg_index i
  join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
  where i.indrelid = entity_ and i.indisprimary;
  select string_agg(
    format('%I = %L::%s', c ->> 'name', c ->> 'value', realtime.type_name((c ->> 'typeoid')::oid)),
    ' and '
  ) into key_condition
  from pg_index i
  join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
  join jsonb_array_elements(wal -> 'columns') c on c ->> 'name' = a.attname
  where i.indrelid = entity_ and i.indisprimary;

  for listeners in
    select s.claims_role, array_agg(s order by s.id) as members
    from realtime.subscription s
    where s.entity = entity_ and s.action_filter in ('*', action_)
    group by s.claims_role
  loop
    select coalesce(array_agg(a.attname::text order by a.attnum), '{}') into readable
    from pg_attribute a
    where a.attrelid = entity_
      and a.attnum > 0
      and not a.attisdropped
      and has_column_privilege(listeners.claims_role, entity_, a.attnum, 'SELECT');
    refusal := case
      when action_ = 'DELETE' then null
      when key_columns is null then 'Error 400: Bad Request, no primary key'
      when not key_columns <@ readable then 'Error 401: Unauthorized'
    end;
    if refusal is not null then
      -- Everybody of this role is told that something changed, whatever their filters.
      data := jsonb_build_object(
        'schema', wal -> 'schema',
        'table', wal -> 'table',
        'type', action_,
        'commit_timestamp', null,
        'columns', '[]'::jsonb,
        'record', '{}'::jsonb,
        'errors', jsonb_build_array(refusal)
      );
      subscription_ids := array(select (m).subscription_id from unnest(listeners.members) m);
      return next;
      continue;
    end if;
    data := jsonb_build_object(
      'schema', wal -> 'schema',
      'table', wal -> 'table',
      'type', action_,
      'commit_timestamp', wal -> 'timestamp',
      'columns', (
        select coalesce(jsonb_agg(jsonb_build_object('name', a.attname, 'type', t.typname) order by a.attnum), '[]')
        from pg_attribute a
        join pg_type t on t.oid = a.atttypid
        where a.attrelid = entity_ and a.attname = any(readable) and a.attnum > 0
      ),
      'errors', null
    );
    if action_ <> 'DELETE' then
      data := data || jsonb_build_object('record', realtime.wal_record(wal -> 'columns', readable));
    end if;
    if action_ <> 'INSERT' then
      -- Of a deletion row security cannot judge, so the key is all that is told.
      data := data || jsonb_build_object('old_record', realtime.wal_record(
        wal -> 'identity',
        array(select c from unnest(readable) c where action_ <> 'DELETE' or not rls or c = any(key_columns))
      ));
    end if;
    subscription_ids := array(
      select (m).subscription_id
      from unnest(listeners.members) m
      where realtime.all_match((m).filters, wal -> case when action_ = 'DELETE' then 'identity' else 'columns' end)
        and (
          action_ = 'DELETE'
          or not rls
          or realtime.is_visible(entity_, (m).claims_role, (m).claims, key_condition)
        )
    );
    return next;
  end loop;
end
$$;

create function realtime.wal_record(columns jsonb, readable text[])
returns jsonb
language sql stable
as $$
  select coalesce(
    jsonb_object_agg(
      c ->> 'name', realtime.cast_value(c ->> 'value', (c ->> 'typeoid')::oid)
    ),
    '{}'
  )
  from jsonb_array_elements(columns) c
  where c ->> 'name' = any(readable)
$$;

create function realtime.all_match(filters realtime.user_defined_filter[], columns jsonb)
returns boolean
language sql stable
as $$
  select coalesce(
    bool_and(
      exists (
        select
        from jsonb_array_elements(columns) c
        where c ->> 'name' = f.column_name
          and realtime.matches(f, (c ->> 'typeoid')::oid, c ->> 'value')
      )
    ),
    true
  )
  from unnest(filters) f
$$;

-- Whether these transactions are over for everybody who looks now: the WAL tells of a commit a
-- moment before others can see it.
create function realtime.is_settled(xids bigint[]) returns boolean
language sql volatile
as $$
  select not exists (
    select
    from pg_locks
    where locktype = 'transactionid'
      and mode = 'ExclusiveLock'
      and transactionid::text::bigint = any(xids)
  )
$$;
