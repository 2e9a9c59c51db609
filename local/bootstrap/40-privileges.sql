-- The usual grants on schema public: as on hosted Supabase, everything new there is open to the
-- API roles until a migration revokes it. And the event that makes the REST layer read the
-- schema again after every change of it.

grant usage on schema public to postgres, anon, authenticated, service_role;
grant all on schema public to postgres;

alter default privileges for role postgres in schema public
grant all on tables to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public
grant all on functions to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public
grant all on sequences to postgres, anon, authenticated, service_role;

alter default privileges for role supabase_admin in schema public
grant all on tables to postgres, anon, authenticated, service_role;
alter default privileges for role supabase_admin in schema public
grant all on functions to postgres, anon, authenticated, service_role;
alter default privileges for role supabase_admin in schema public
grant all on sequences to postgres, anon, authenticated, service_role;

create function extensions.notify_schema_change() returns event_trigger
language plpgsql
as $$
begin
  perform pg_notify('pgrst', 'reload schema');
end
$$;

create event trigger api_schema_changed on ddl_command_end
execute function extensions.notify_schema_change();
create event trigger api_schema_dropped on sql_drop
execute function extensions.notify_schema_change();
