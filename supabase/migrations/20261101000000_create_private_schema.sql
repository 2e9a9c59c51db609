-- Purpose: the schemas that the API does not expose, and the engine's clock.
-- Who may call: private is for the engine's own functions; ops is the operators' console in Studio.
-- Locks: none on existing tables.

create schema if not exists private;
comment on schema private is 'The engine''s helpers and secrets. Not exposed by the API.';

create schema if not exists ops;
comment on schema ops is 'The operators'' console: views that say what is wrong and functions that mend it.';

revoke all on schema private, ops from public;
grant usage on schema private, ops to service_role;
-- Policies call private.member_agency_ids() as the signed-in user.
grant usage on schema private to authenticated;

create table if not exists private.engine_clock (
  singleton boolean primary key default true check (singleton),
  shift interval not null default interval '0'
);
comment on table private.engine_clock is
  'How far the engine''s clock stands from the server''s. Empty in production; tests move it instead of sleeping.';
revoke all on private.engine_clock from public, anon, authenticated;
grant select on private.engine_clock to service_role;

-- PL/pgSQL: every function asks for it, and one in SQL is planned anew in every transaction.
create or replace function private.engine_now()
returns timestamptz
language plpgsql
volatile
security definer
set search_path = ''
as $$
begin
  return clock_timestamp() + coalesce((select c.shift from private.engine_clock c), interval '0');
end
$$;
comment on function private.engine_now() is
  'The engine''s idea of now: the wall clock plus private.engine_clock.shift. Every lease, window and schedule uses it. '
  'Definer, so that members who read sync_health need no right on the clock.';
revoke all on function private.engine_now() from public, anon, authenticated;
grant execute on function private.engine_now() to service_role, authenticated;
