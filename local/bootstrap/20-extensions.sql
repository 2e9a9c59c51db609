-- Extensions where hosted Supabase keeps them: schema `extensions`, found by every role.
-- Those that this machine lacks are left out; what needs them says so by failing.

create schema extensions;
grant usage on schema extensions to postgres, anon, authenticated, service_role;
alter default privileges in schema extensions
grant execute on functions to postgres, anon, authenticated, service_role;

do $$
declare
  extension_name text;
begin
  foreach extension_name in array array['uuid-ossp', 'pgcrypto', 'pg_stat_statements', 'pgtap'] loop
    if exists (select from pg_available_extensions where name = extension_name) then
      execute format('create extension %I with schema extensions', extension_name);
    end if;
  end loop;
  if exists (select from pg_available_extensions where name = 'plpgsql_check') then
    create extension plpgsql_check with schema extensions;
  end if;
  if exists (select from pg_available_extensions where name = 'pg_cron') then
    create extension pg_cron with schema pg_catalog;
    grant usage on schema cron to postgres with grant option;
    grant all on all tables in schema cron to postgres with grant option;
    grant execute on all functions in schema cron to postgres with grant option;
    revoke all on cron.job from postgres;
    grant select on cron.job to postgres with grant option;
  end if;
end
$$;

alter database postgres set search_path = "$user", public, extensions;
