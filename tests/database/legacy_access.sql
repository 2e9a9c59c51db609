-- What Studio and a hurried developer left on an older application's tables. A fixture: never a migration.
create policy "Enable read access for all users" on public.models for select using (true);
create policy "Enable read access for all users" on public.fanvue_transactions for select using (true);
create policy "Service role full access" on public.agencies for all using (true) with check (true);
create policy "owners add models" on public.models for insert to authenticated
  with check (agency_id in (select id from public.agencies where owner_id = auth.uid()));
create policy "everybody hears" on realtime.messages for select to authenticated using (true);

alter table public.models
  add column session_cookie text default 'cookie-of-the-creator',
  add column api_key text default 'key-of-the-creator',
  add column webhook_secret text default 'secret-of-the-webhook',
  add column notes text default 'a note of the agency';
alter table public.fanvue_transactions add column card_digits text default '4242';

create view public.sales as select t.model_id, t.category, t.fanvue_created_at from public.fanvue_transactions t;
create view public.sales_by_category as select s.model_id, s.category, count(*) as sales from public.sales s group by 1, 2;
create materialized view public.model_names as select m.id, m.name from public.models m;

create function public.all_sales() returns setof public.fanvue_transactions
  language sql security definer as 'select * from public.fanvue_transactions';
create function public.run_sql(query text) returns jsonb
  language plpgsql security definer as 'declare r jsonb; begin execute query into r; return r; end';
create function public.revenue_of_anybody(agency uuid) returns numeric
  language sql security definer as 'select public.get_agency_revenue(agency)';
-- a definer's function out of the API's reach, and the way to it
create schema if not exists private;
grant usage on schema private to anon, authenticated;
create function private.all_models() returns setof public.models language sql security definer as 'select * from public.models';
create function public.list_models() returns setof public.models language sql as 'select * from private.all_models()';
-- theirs, and of no table of ours
create table public.profiles (id uuid primary key, nickname text);
create function public.nickname_of(profile uuid) returns text
  language sql security definer as 'select nickname from public.profiles where id = profile';
create function public.count_revenue() returns trigger language plpgsql as
  'begin update public.models set revenue_total = coalesce(revenue_total, 0) + new.amount where id = new.model_id; return new; end';
create trigger count_revenue after insert on public.fanvue_transactions for each row execute function public.count_revenue();
