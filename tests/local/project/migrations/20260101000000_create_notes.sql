-- A small schema that the tests of the stack itself migrate to.

create table public.notes (
  id bigint generated always as identity primary key,
  owner_id uuid not null,
  body text not null,
  amount numeric(14, 2) not null default 12.30,
  created_at timestamptz not null default '2026-11-22 22:26:51.97+00'
);

alter table public.notes enable row level security;

create policy "owners read their notes" on public.notes
for select to authenticated
using (owner_id = (select auth.uid()));

create table public.secrets (id integer primary key);
alter table public.secrets enable row level security;
revoke all on public.secrets from anon, authenticated;

create function public.describe_arguments(p_document jsonb, p_ids bigint[]) returns jsonb
language sql
as $$
  select jsonb_build_object(
    'document', p_document,
    'kind', jsonb_typeof(p_document),
    'ids', to_jsonb(p_ids),
    'role', current_user,
    'user', auth.uid(),
    'claims', auth.jwt()
  )
$$;

create function public.fail_with(p_state text) returns void
language plpgsql
as $$
begin
  raise exception using errcode = p_state, message = 'refused', detail = 'why', hint = 'what to do';
end
$$;

create function public.do_nothing() returns void language sql as '';

create function public.answer_itself() returns void
language plpgsql
as $$
begin
  raise sqlstate 'PGRST' using
    message = '{"code": "teapot", "message": "short and stout"}',
    detail = '{"status": 418, "headers": {}}';
end
$$;

create function public.time_limit() returns text
language sql stable
as $$ select current_setting('statement_timeout') $$;
