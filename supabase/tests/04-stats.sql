-- The dashboard's object: its shape, its errors, and who may have it.
begin;
\ir as_role.psql
\ir tenants.psql
select no_plan();

create function pg_temp.stats_as(p_role text, p_user uuid, p_agency uuid, p_from text, p_to text)
returns text
language sql
as $$
  select pg_temp.read_as(p_role, p_user, format('select public.dashboard_stats(%L, %L, %L)', p_agency, p_from, p_to))
$$;

create function pg_temp.head_as(p_role text, p_user uuid, p_agency uuid)
returns text
language sql
as $$
  select pg_temp.read_as(p_role, p_user, format('select public.stats_head(%L)', p_agency))
$$;

delete from public.fanvue_transactions t using tenants x where t.agency_id = x.agency_id;
delete from public.earnings_daily e using tenants x where e.agency_id = x.agency_id;
delete from public.fanvue_top_fans f using tenants x where f.agency_id = x.agency_id;
delete from public.fanvue_accounts a using tenants x where a.agency_id = x.agency_id;
delete from public.sync_state s using tenants x where s.agency_id = x.agency_id;
insert into public.fanvue_transactions (agency_id, model_id, fanvue_id, amount, net_amount, category, fanvue_created_at, origin,
                                        sent_currency, sent_minor_units)
select t.agency_id, t.model_id, v.* from tenants t
cross join (values
  ('old', 7.00, 5.60, 'tip', timestamptz '2026-03-08T23:59:59.999Z', 'api', null, null::bigint),
  ('a', 1200.00, 960.00, 'tip', '2026-03-09T00:00:00Z', 'api', null, null),
  ('b', 34.50, 27.60, 'message', '2026-03-10T23:59:59.999Z', 'api', null, null),
  ('c', -5.00, -4.00, 'refund', '2026-03-09T12:00:00Z', 'api', null, null),
  ('d', 3.00, null, null, '2026-03-09T12:00:00Z', 'webhook', null, null),
  ('e', 0.00, null, 'tip', '2026-03-09T12:00:00Z', 'webhook', 'EUR', 1999)) v
where t.letter = 'A';
insert into public.fanvue_top_fans (agency_id, model_id, day, rank, fan_uuid, handle, gross, net)
select t.agency_id, t.model_id, v.* from tenants t
cross join (values (date '2026-03-02', 1, 'left', 'l', 99.00, 80.00), ('2026-03-03', 1, 'one', 'o', 40.00, 32.00),
                   ('2026-03-03', 2, 'two', 't', 50.00, 40.00), ('2026-03-11', 1, 'later', 'x', 70.00, 56.00)) v
where t.letter = 'A';
insert into public.fanvue_accounts (agency_id, model_id, subscribers, followers)
select t.agency_id, t.model_id, 12, null from tenants t where t.letter = 'A';
insert into public.sync_state (agency_id, model_id, sync_type, last_success_at, consecutive_failures)
select t.agency_id, t.model_id, v.* from tenants t
cross join (values ('earnings', timestamptz '2026-03-10T12:00:00.25Z', 2), ('posts', null, 0), ('message_history', null, 0)) v
where t.letter = 'A';

-- Shape ------------------------------------------------------------------------------------------------
select is(pg_temp.stats_as('authenticated', t.user_id, t.agency_id, '2026-03-09', '2026-03-10')::jsonb - '{stamp,as_of}'::text[],
  jsonb_build_object(
    'agency_id', t.agency_id, 'from', '2026-03-09', 'to', '2026-03-10', 'currency', 'USD',
    'freshness', '[{"sync_type": "earnings", "models": 1, "waiting": 0, "failing": 1,
                    "oldest_success_at": "2026-03-10T12:00:00.25+00:00", "newest_success_at": "2026-03-10T12:00:00.25+00:00"},
                   {"sync_type": "posts", "models": 1, "waiting": 1, "failing": 0, "oldest_success_at": null, "newest_success_at": null}]'::jsonb,
    'totals', '{"gross": "1232.50", "net": "983.60", "transactions": 5}'::jsonb,
    'previous', '{"from": "2026-03-07", "to": "2026-03-08", "gross": "7.00", "net": "5.60", "transactions": 1}'::jsonb,
    'by_category', '[{"category": "tip", "gross": "1200.00", "net": "960.00", "transactions": 2},
                     {"category": "message", "gross": "34.50", "net": "27.60", "transactions": 1},
                     {"category": "refund", "gross": "-5.00", "net": "-4.00", "transactions": 1},
                     {"category": "uncategorised", "gross": "3.00", "net": "0.00", "transactions": 1}]'::jsonb,
    'by_model', jsonb_build_array(jsonb_build_object('model_id', t.model_id, 'handle', 'creator A', 'display_name', null,
      'status', 'active', 'gross', '1232.50', 'net', '983.60', 'transactions', 5, 'previous_gross', '7.00')),
    'by_day', '[{"day": "2026-03-09", "gross": "1198.00", "net": "956.00", "transactions": 4,
                 "categories": {"tip": "1200.00", "refund": "-5.00", "uncategorised": "3.00"}},
                {"day": "2026-03-10", "gross": "34.50", "net": "27.60", "transactions": 1, "categories": {"message": "34.50"}}]'::jsonb,
    'top_fans', jsonb_build_array(
      jsonb_build_object('model_id', t.model_id, 'fan_uuid', 'two', 'handle', 't', 'display_name', null, 'gross', '50.00', 'net', '40.00', 'day', '2026-03-03'),
      jsonb_build_object('model_id', t.model_id, 'fan_uuid', 'one', 'handle', 'o', 'display_name', null, 'gross', '40.00', 'net', '32.00', 'day', '2026-03-03')),
    'audience', jsonb_build_object('subscribers', 12, 'followers', null,
      'models', jsonb_build_array(jsonb_build_object('model_id', t.model_id, 'subscribers', 12, 'followers', null))),
    'unconfirmed', '{"transactions": 2, "amount": "3.00",
                     "other_currencies": [{"currency": "EUR", "minor_units": 1999, "transactions": 1}]}'::jsonb),
  'a member gets the whole object, money as text, days as UTC days')
from tenants t where t.letter = 'A';

select is(pg_temp.stats_as('authenticated', t.user_id, t.agency_id, '2026-03-09', '2026-03-10')::jsonb #> '{totals,gross}', '"0.00"',
          'an agency without sales has zeros') from tenants t where t.letter = 'B';

select results_eq(
  format('select d ->> ''day'', d -> ''categories'' from jsonb_array_elements(%L::jsonb -> ''by_day'') d',
         pg_temp.stats_as('authenticated', t.user_id, t.agency_id, '2026-02-27', '2026-03-02')),
  $$values ('2026-02-27', '{}'::jsonb), ('2026-02-28', '{}'), ('2026-03-01', '{}'), ('2026-03-02', '{}')$$,
  'days without a sale are there, oldest first') from tenants t where t.letter = 'A';

select is(jsonb_array_length(pg_temp.stats_as('service_role', null, t.agency_id, '2023-01-01', '2026-01-04')::jsonb -> 'by_day'), 1100,
          'eleven hundred days may be asked for') from tenants t where t.letter = 'A';

select is(pg_temp.stats_as('service_role', null, t.agency_id, '2026-03-09', '2026-03-10')::jsonb - 'as_of',
          pg_temp.stats_as('authenticated', t.user_id, t.agency_id, '2026-03-09', '2026-03-10')::jsonb - 'as_of',
          format('service_role gets what a member of %s gets', t.letter))
from tenants t;

select is(h.head - 'as_of', (select jsonb_object_agg(s.key, s.value) from jsonb_each(h.stats) s where s.key in ('agency_id', 'stamp', 'freshness')),
          'the head says what the object says')
from (select pg_temp.head_as('authenticated', t.user_id, t.agency_id)::jsonb as head,
             pg_temp.stats_as('authenticated', t.user_id, t.agency_id, '2026-03-09', '2026-03-10')::jsonb as stats
      from tenants t where t.letter = 'A') h;

select matches(pg_temp.head_as('authenticated', t.user_id, t.agency_id)::jsonb ->> 'as_of', '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00$',
               'instants are UTC') from tenants t where t.letter = 'A';

select matches(pg_temp.head_as('authenticated', t.user_id, t.agency_id)::jsonb ->> 'stamp', '^[0-9a-f]{32}$',
               format('agency %s has a stamp', t.letter)) from tenants t;

insert into public.agencies (name) values ('empty');
select is(pg_temp.head_as('service_role', null, a.id)::jsonb - '{agency_id,as_of}'::text[],
          '{"stamp": "c4ca4238a0b923820dcc509a6f75849b", "freshness": []}'::jsonb, 'an agency without models has a stamp')
from public.agencies a where a.name = 'empty';

-- Who may have it --------------------------------------------------------------------------------------
select is(pg_temp.try_as('anon', null, format(f.call, t.agency_id)), 'denied', format('anon cannot call %s', f.call))
from tenants t cross join (values ('select public.dashboard_stats(%L, ''2026-03-09'', ''2026-03-10'')'), ('select public.stats_head(%L)')) f(call)
where t.letter = 'A';

create temp table strangers on commit drop as
select mine.letter || ' asks for the other' as who, mine.user_id, theirs.agency_id
from tenants mine join tenants theirs on theirs.letter <> mine.letter
union all
select 'a member asks for an agency that is not there', t.user_id, gen_random_uuid() from tenants t where t.letter = 'A'
union all
select 'a user without an agency', gen_random_uuid(), t.agency_id from tenants t where t.letter = 'A'
union all
select 'a token without a user', null, t.agency_id from tenants t where t.letter = 'A'
union all
select 'no agency is named', t.user_id, null from tenants t where t.letter = 'A';

create function pg_temp.refusal(p_user uuid, p_sql text)
returns text
language plpgsql
as $$
begin
  begin
    perform set_config('request.jwt.claims', jsonb_build_object('sub', p_user, 'role', 'authenticated')::text, true);
    perform set_config('role', 'authenticated', true);
    execute p_sql;
    raise sqlstate 'ZZ001';
  exception when others then
    return sqlstate || ' ' || sqlerrm;
  end;
end
$$;

select is(pg_temp.refusal(s.user_id, format(f.call, s.agency_id)), '42501 not a member of this agency', format('%s: %s', s.who, f.call))
from strangers s
cross join (values ('select public.dashboard_stats(%L, ''2026-03-09'', ''2026-03-10'')'), ('select public.stats_head(%L)')) f(call);

-- Days that make no period -----------------------------------------------------------------------------
select is(pg_temp.refusal(t.user_id, format('select public.dashboard_stats(%L, %L, %L)', t.agency_id, d.first, d.last)), '22023 ' || d.message,
          format('from %s to %s is refused in words', coalesce(d.first, 'nothing'), coalesce(d.last, 'nothing')))
from tenants t
cross join (values
  (null, '2026-03-10', 'give both days, p_from and p_to'),
  ('2026-03-10', null, 'give both days, p_from and p_to'),
  ('2026-03-10', '2026-03-09', 'p_from is after p_to: give the earlier day first'),
  ('2023-01-01', '2026-01-05', 'that is 1101 days: ask for at most 1,100 at a time'),
  ('-infinity', '2026-03-09', 'give days between 1970-01-01 and 9999-12-31'),
  ('2026-03-09', 'infinity', 'give days between 1970-01-01 and 9999-12-31'),
  ('infinity', 'infinity', 'give days between 1970-01-01 and 9999-12-31'),
  ('4713-01-01 BC', '4713-01-02 BC', 'give days between 1970-01-01 and 9999-12-31')) d(first, last, message)
where t.letter = 'A';

select is(pg_temp.refusal(mine.user_id, format('select public.dashboard_stats(%L, null, null)', theirs.agency_id)),
          '42501 not a member of this agency', 'a stranger is not told about days')
from tenants mine join tenants theirs on theirs.letter <> mine.letter;

-- Nothing reads or writes the versions but the engine ------------------------------------------------------
select is(pg_temp.try_as('authenticated', t.user_id, 'select 1 from private.stats_versions'), 'denied', 'members do not read versions')
from tenants t where t.letter = 'A';
select is(pg_temp.try_as('service_role', null, 'delete from private.stats_versions'), 'denied', 'service_role does not write versions');

select * from finish();
rollback;
