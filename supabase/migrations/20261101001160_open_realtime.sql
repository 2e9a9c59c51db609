-- Purpose: who hears what: members their agency's private topic; and the tables that clients of postgres_changes may follow.
-- A database without Realtime migrates all the same.
-- Locks: the short ones of a new policy and of a publication's change.

do $$
begin
  if to_regclass('realtime.messages') is null then
    raise notice 'no Realtime here: nothing is pushed, dashboards poll';
    return;
  end if;
  -- Dynamic, as the table may be missing. Only what a probe carries is asked: topic and extension. Only listening is allowed:
  -- there is no policy for sending, and the workers' topic is heard by the service role alone, which passes by row security.
  execute 'drop policy if exists "members hear their agency" on realtime.messages';
  execute $policy$
    create policy "members hear their agency" on realtime.messages
      for select to authenticated
      using (extension = 'broadcast' and topic = (select realtime.topic())
             and topic = any (array(select 'agency:' || a.id from private.member_agency_ids() as a (id))))
  $policy$;
end
$$;

do $$
declare
  v_table text;
begin
  if not exists (select from pg_catalog.pg_publication p where p.pubname = 'supabase_realtime') then
    raise notice 'no publication supabase_realtime here: nothing for clients of postgres_changes';
    return;
  end if;
  -- Row security decides per subscriber; none of these tables holds a secret.
  foreach v_table in array array['fanvue_transactions', 'sync_jobs', 'sync_state'] loop
    if not exists (select from pg_catalog.pg_publication_tables t
                   where t.pubname = 'supabase_realtime' and t.schemaname = 'public' and t.tablename = v_table)
       and not exists (select from pg_catalog.pg_publication p where p.pubname = 'supabase_realtime' and p.puballtables) then
      execute format('alter publication supabase_realtime add table public.%I', v_table);
    end if;
  end loop;
end
$$;
