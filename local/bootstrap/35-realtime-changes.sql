-- What postgres_changes keeps inside the database: who listens to which table with which filter and
-- as whom, and the function that says who may see a change. Names, types and rules as on hosted
-- Supabase; written from its documented behaviour. Local only: never part of the migrations.

create type realtime.action as enum ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'ERROR');

create type realtime.equality_op as enum (
  'eq', 'neq', 'lt', 'lte', 'gt', 'gte', 'in', 'like', 'ilike', 'is', 'match', 'imatch', 'isdistinct'
);

create type realtime.user_defined_filter as (
  column_name text,
  op realtime.equality_op,
  value text,
  negate boolean
);

create type realtime.wal_rls as (
  wal jsonb,
  is_rls_enabled boolean,
  subscription_ids uuid[],
  errors text[]
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
    check (action_filter in ('*', 'INSERT', 'UPDATE', 'DELETE')),
  selected_columns text[]
);
create unique index subscription_subscription_id_entity_idx
on realtime.subscription (subscription_id, entity);
create index subscription_entity_idx on realtime.subscription (entity);

alter table realtime.subscription owner to supabase_realtime_admin;
grant select on realtime.subscription to postgres, migrator, anon, authenticated, service_role;

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
  elsif type_oid = 'bytea'::regtype then
    return to_jsonb(substr(value, 3));
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
    when 'is' then format('%L::%s is %s', value, type_name, filter.value)
    when 'isdistinct' then
      format('%L::%s is distinct from %L::%s', value, type_name, filter.value, type_name)
    when 'like' then format('%L::text like %L', value, filter.value)
    when 'ilike' then format('%L::text ilike %L', value, filter.value)
    when 'match' then format('%L::text ~ %L', value, filter.value)
    when 'imatch' then format('%L::text ~* %L', value, filter.value)
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
  execute format('select %s (%s)', case when filter.negate then 'not' else '' end, test) into answer;
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
  wanted text;
begin
  foreach filter in array new.filters loop
    column_type := realtime.readable_column(new.claims_role, new.entity, filter.column_name);
    if column_type is null then
      raise exception 'invalid column for filter %', filter.column_name;
    elsif filter.op = 'is' then
      if lower(filter.value) not in ('null', 'true', 'false', 'unknown') then
        raise exception 'invalid value for is filter: must be null, true, false, or unknown';
      elsif lower(filter.value) <> 'null' and column_type <> 'boolean'::regtype then
        raise exception 'is.% requires a boolean column', filter.value;
      end if;
    elsif filter.op = 'in' and cardinality(filter.value::text[]) > 100 then
      raise exception 'too many values for `in` filter. Maximum 100';
    end if;
    perform realtime.matches(filter, column_type, null);
  end loop;
  foreach wanted in array coalesce(new.selected_columns, '{}') loop
    if realtime.readable_column(new.claims_role, new.entity, wanted) is null then
      raise exception 'invalid column for select %', wanted;
    end if;
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

-- One change in, one row per group of subscribers that get the same answer. `wal` is a change in
-- the shape of wal2json: action, schema, table, timestamp, columns and identity, values as text.
create function realtime.apply_rls(wal jsonb, max_record_bytes integer default 1048576)
returns setof realtime.wal_rls
language plpgsql
as $$
declare
  entity_ regclass := to_regclass(format('%I.%I', wal ->> 'schema', wal ->> 'table'));
  action_ text := case wal ->> 'action' when 'I' then 'INSERT' when 'U' then 'UPDATE' when 'D' then 'DELETE' end;
  too_large boolean := octet_length(wal::text) > max_record_bytes;
  rls boolean;
  keys text[];
  key_condition text;
  listeners record;
  readable text[];
  document jsonb;
  identity_ jsonb;
begin
  if entity_ is null or action_ is null then
    return;
  end if;
  select c.relrowsecurity into rls from pg_class c where c.oid = entity_;
  select coalesce(array_agg(a.attname::text order by a.attnum), '{}') into keys
  from pg_index i
  join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
  where i.indrelid = entity_ and i.indisprimary;
  select string_agg(
    format('%I = %L::%s', c ->> 'name', c ->> 'value', realtime.type_name((c ->> 'typeoid')::oid)),
    ' and '
  ) into key_condition
  from jsonb_array_elements(wal -> 'columns') c
  where c ->> 'name' = any(keys);

  for listeners in
    select s.claims_role, s.selected_columns, array_agg(s order by s.id) as members
    from realtime.subscription s
    where s.entity = entity_ and s.action_filter in ('*', action_)
    group by s.claims_role, s.selected_columns
  loop
    document := jsonb_build_object('schema', wal -> 'schema', 'table', wal -> 'table', 'type', action_);
    select coalesce(array_agg(a.attname::text order by a.attnum), '{}') into readable
    from pg_attribute a
    where a.attrelid = entity_
      and a.attnum > 0
      and not a.attisdropped
      and has_column_privilege(listeners.claims_role, entity_, a.attnum, 'SELECT');

    if action_ <> 'DELETE' and not keys <@ readable or action_ <> 'DELETE' and keys = '{}' then
      return next (
        document,
        rls,
        (select array_agg((m).subscription_id) from unnest(listeners.members) m),
        array[
          case
            when keys = '{}' then 'Error 400: Bad Request, no primary key'
            else 'Error 401: Unauthorized'
          end
        ]
      )::realtime.wal_rls;
      continue;
    end if;

    if listeners.selected_columns is not null then
      select array_agg(c order by n) into readable
      from unnest(readable) with ordinality r (c, n)
      where c = any(listeners.selected_columns || keys);
    end if;
    document := document || jsonb_build_object(
      'commit_timestamp', wal -> 'timestamp',
      'columns', (
        select coalesce(jsonb_agg(jsonb_build_object('name', a.attname, 'type', t.typname) order by a.attnum), '[]')
        from pg_attribute a
        join pg_type t on t.oid = a.atttypid
        where a.attrelid = entity_ and a.attname = any(readable) and a.attnum > 0
      )
    );
    if action_ <> 'DELETE' then
      document := document || jsonb_build_object(
        'record', realtime.wal_record(wal -> 'columns', readable, too_large)
      );
    end if;
    if action_ <> 'INSERT' then
      document := document || jsonb_build_object(
        'old_record',
        realtime.wal_record(
          wal -> 'identity',
          case
            when action_ = 'DELETE' and rls then array(select unnest(readable) intersect select unnest(keys))
            else readable
          end,
          too_large
        )
      );
    end if;
    identity_ := case when action_ = 'DELETE' then wal -> 'identity' else wal -> 'columns' end;
    return next (
      document,
      rls,
      array(
        select (m).subscription_id
        from unnest(listeners.members) m
        where realtime.all_match((m).filters, identity_)
          and (
            action_ = 'DELETE'
            or not rls
            or realtime.is_visible(entity_, (m).claims_role, (m).claims, key_condition)
          )
      ),
      case when too_large then array['Error 413: Payload Too Large'] else '{}' end
    )::realtime.wal_rls;
  end loop;
end
$$;

create function realtime.wal_record(columns jsonb, readable text[], too_large boolean)
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
    and not (too_large and octet_length(coalesce(c ->> 'value', '')) > 64)
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
