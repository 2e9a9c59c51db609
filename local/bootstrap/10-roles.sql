-- Roles that hosted Supabase provides. Local only: never part of the migrations.
-- On hosted Supabase `postgres` is no superuser; `migrator` stands for it here, so that a test
-- can apply every migration without superuser rights.

create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role authenticator login noinherit password 'postgres';
create role supabase_admin login superuser createrole createdb replication bypassrls password 'postgres';
create role supabase_auth_admin login noinherit createrole password 'postgres';
create role supabase_realtime_admin nologin noinherit;
create role dashboard_user nologin createrole createdb replication;
create role migrator login createrole createdb replication bypassrls password 'postgres';

grant anon, authenticated, service_role to authenticator;
grant anon, authenticated, service_role to postgres with admin option;
grant anon, authenticated, service_role to migrator with admin option;
-- Hosted grants it to nobody: there, an extension lets `postgres` write policies on Realtime's
-- messages. Here the membership does, and 30-realtime.sql refuses everything else.
grant supabase_realtime_admin to migrator;
grant pg_monitor, pg_read_all_data, pg_signal_backend to migrator with admin option;

alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';

-- On hosted Supabase `postgres` owns the database and so may create schemas and extensions.
grant all on database postgres to migrator with grant option;
