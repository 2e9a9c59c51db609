-- What migrations and clients meet of Realtime inside the database: the messages table, the
-- functions that write to it, the settings that policies read. Same names, arguments, defaults,
-- rights and silence on errors as on hosted Supabase. Local only: never part of the migrations.

create schema realtime;
alter schema realtime owner to supabase_realtime_admin;
grant usage on schema realtime to postgres, anon, authenticated, service_role;

create table realtime.messages (
  topic text not null,
  extension text not null,
  payload jsonb,
  event text,
  private boolean default false,
  updated_at timestamp not null default now(),
  inserted_at timestamp not null default now(),
  id uuid not null default gen_random_uuid(),
  binary_payload bytea,
  primary key (id, inserted_at)
) partition by range (inserted_at);

create index messages_inserted_at_topic_idx
on realtime.messages (inserted_at desc, topic)
where extension = 'broadcast' and private;

alter table realtime.messages owner to supabase_realtime_admin;
alter table realtime.messages enable row level security;
grant select, insert, update on realtime.messages to postgres, anon, authenticated, service_role;

create function realtime.topic() returns text
language sql stable
as $$ select nullif(current_setting('realtime.topic', true), '') $$;

create function realtime.send(payload jsonb, event text, topic text, private boolean default true)
returns void
language plpgsql
as $$
declare
  message_id uuid := gen_random_uuid();
  body jsonb := payload;
begin
  if not body ? 'id' then
    body := jsonb_set(body, '{id}', to_jsonb(message_id));
  end if;
  perform set_config('realtime.topic', topic, true);
  insert into realtime.messages (id, payload, event, topic, private, extension)
  values (message_id, body, event, topic, private, 'broadcast');
exception
  when others then
    raise warning 'WarnSendingBroadcastMessage: %', sqlerrm;
end
$$;

-- Hosted Supabase makes partitions when a client connects and every four hours while one is there,
-- for three days: a project that nobody listens to for longer has none. Here every start makes them,
-- too. Messages are kept for three days, as there.
create function realtime.create_partitions() returns void
language plpgsql
as $$
declare
  day date;
  old_partition regclass;
begin
  for old_partition in
    select i.inhrelid::regclass
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'realtime.messages'::regclass
      and c.relname < 'messages_' || to_char(current_date - 3, 'YYYY_MM_DD')
  loop
    execute format('drop table %s', old_partition);
  end loop;
  for day in select generate_series(current_date - 1, current_date + 3, interval '1 day')::date loop
    if to_regclass(format('realtime.messages_%s', to_char(day, 'YYYY_MM_DD'))) is null then
      execute format(
        'create table realtime.%I partition of realtime.messages for values from (%L) to (%L)',
        'messages_' || to_char(day, 'YYYY_MM_DD'), day, day + 1
      );
      execute format(
        'alter table realtime.%I owner to supabase_realtime_admin', 'messages_' || to_char(day, 'YYYY_MM_DD')
      );
    end if;
  end loop;
end
$$;

select realtime.create_partitions();

grant create on database postgres to supabase_realtime_admin;
create publication supabase_realtime;
alter publication supabase_realtime owner to supabase_realtime_admin;

-- What the server reads broadcasts from: rows as they are committed, whatever their partition.
create publication supabase_realtime_messages_publication
for table realtime.messages with (publish = 'insert', publish_via_partition_root = true);

-- Of Realtime's schema, hosted Supabase lets the owner of a project change the policies on messages
-- and nothing else.
create function realtime.refuse_changes() returns event_trigger
language plpgsql
as $$
declare
  refused text;
begin
  if session_user <> 'postgres' then
    return;
  end if;
  if tg_event = 'sql_drop' then
    select object_identity into refused
    from pg_event_trigger_dropped_objects()
    where (schema_name = 'realtime' or object_identity like '% on realtime.%') and object_type not in ('policy', 'table constraint');
  else
    select object_identity into refused
    from pg_event_trigger_ddl_commands()
    where (schema_name = 'realtime' or object_identity = 'realtime' or object_identity like '% on realtime.%')
      and command_tag not in ('CREATE POLICY', 'ALTER POLICY');
  end if;
  if refused is not null then
    raise insufficient_privilege using message = format('must be owner of %s', refused);
  end if;
end
$$;
create event trigger realtime_changes_refused on ddl_command_end
execute function realtime.refuse_changes();
create event trigger realtime_drops_refused on sql_drop
execute function realtime.refuse_changes();

-- Nor may it take messages away, which the membership would allow.
create function realtime.refuse_removal() returns trigger
language plpgsql
as $$
begin
  if session_user = 'postgres' then
    raise insufficient_privilege using message = 'permission denied for table messages';
  end if;
  return null;
end
$$;
create trigger messages_stay before delete or truncate on realtime.messages
for each statement execute function realtime.refuse_removal();

-- Whatever the owner sets session_replication_role to.
alter event trigger realtime_changes_refused enable always;
alter event trigger realtime_drops_refused enable always;
alter table realtime.messages enable always trigger messages_stay;
