-- Runs after the Auth service made its tables: the functions that policies call, reading both
-- forms of the claims as on hosted Supabase (one setting per claim, or all as JSON), and rights.

create or replace function auth.uid() returns uuid
language sql stable
as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim.sub', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
  )::uuid
$$;

create or replace function auth.role() returns text
language sql stable
as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim.role', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'
  )
$$;

create or replace function auth.email() returns text
language sql stable
as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim.email', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email'
  )
$$;

create or replace function auth.jwt() returns jsonb
language sql stable
as $$
  select coalesce(
    nullif(current_setting('request.jwt.claim', true), ''),
    nullif(current_setting('request.jwt.claims', true), '')
  )::jsonb
$$;

grant usage on schema auth to postgres, anon, authenticated, service_role, supabase_auth_admin;
grant all on all tables in schema auth to postgres, supabase_auth_admin;
grant all on all sequences in schema auth to postgres, supabase_auth_admin;
revoke all on all tables in schema auth from anon, authenticated, service_role;
grant execute on all functions in schema auth to public;

-- The Auth library makes the CLI's record of migrations, too; on hosted Supabase it is the owner's.
create schema if not exists supabase_migrations;
alter schema supabase_migrations owner to postgres;
alter table if exists supabase_migrations.schema_migrations owner to postgres;
alter table if exists supabase_migrations.seed_files owner to postgres;
