-- Roles that hosted Supabase provides. Local only: never part of the migrations. The cluster's
-- superuser is `supabase_admin`; `postgres`, who owns the project, is none.

create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role authenticator login noinherit password 'postgres';
create role supabase_auth_admin login noinherit createrole password 'postgres';
create role supabase_realtime_admin nologin noinherit;
create role dashboard_user nologin createrole createdb replication;
create role postgres login createrole createdb replication bypassrls password 'postgres';

grant anon, authenticated, service_role to authenticator;
grant anon, authenticated, service_role to postgres with admin option;
-- Hosted grants it to nobody: there, an extension lets `postgres` write policies on Realtime's
-- messages. Here the membership does, and 30-realtime.sql refuses everything else.
grant supabase_realtime_admin to postgres;
grant pg_monitor, pg_read_all_data, pg_signal_backend to postgres with admin option;
grant set on parameter session_replication_role to postgres;

alter role anon set statement_timeout = '3s';
alter role authenticated set statement_timeout = '8s';
alter role authenticator set statement_timeout = '8s';
alter role authenticator set lock_timeout = '8s';

-- So that it may create schemas and extensions.
alter database postgres owner to postgres;
