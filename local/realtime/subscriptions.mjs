// The rows of realtime.subscription: who listens to which table, written for channels and taken away
// with them. Sends nothing to clients.

import { randomUUID } from "node:crypto";

import { describeBinding } from "./bindings.mjs";

const PUBLICATION = "supabase_realtime";

/** The database refused an entry, in the words that the client is told. */
export class SubscriptionError extends Error {}

export class Subscriptions {
  #database;

  constructor(database) {
    this.#database = database;
  }

  /** Forgets what an earlier server left behind, unless another one is at work. */
  async clear(slot) {
    await this.#database.sql`delete from realtime.subscription where not exists (
      select from pg_replication_slots
      where active and database = current_database()
        and slot_name like 'supabase_realtime_changes%' and slot_name <> ${slot})`;
  }

  /** Writes the entries of a channel in place of its old ones; one `{uuid, entities}` for each. */
  async replace(old, bindings, claims) {
    return await this.#database.sql.begin(async (sql) => {
      const made = [];
      await remove(sql, old);
      for (const binding of bindings) made.push(await add(sql, binding, claims));
      return made;
    });
  }

  async remove(uuids) {
    await remove(this.#database.sql, uuids);
  }

  /** A text that changes whenever the tables of the publication do. */
  async tables() {
    const [row] = await this.#database.sql`
      select coalesce(string_agg(t.schemaname || '.' || t.tablename, ',' order by 1), '') as tables
      from (select schemaname, tablename from pg_publication_tables
        where pubname = ${PUBLICATION} order by 1, 2) t`;
    return row.tables;
  }
}

async function remove(sql, uuids) {
  if (!uuids.length) return;
  await sql`delete from realtime.subscription where subscription_id = any(${uuids}::uuid[])`;
}

async function add(sql, binding, claims) {
  const uuid = randomUUID();
  const advice = "Unable to subscribe to changes with given parameters. ";
  let rows;
  try {
    rows = await sql`
      insert into realtime.subscription
        (subscription_id, entity, filters, claims, action_filter)
      select ${uuid}::uuid, format('%I.%I', schemaname, tablename)::regclass,
        array(
          select row(f ->> 'column', f ->> 'op', f ->> 'value')::realtime.user_defined_filter
          from jsonb_array_elements(${JSON.stringify(binding.filters)}::text::jsonb) f
        ),
        ${JSON.stringify(claims)}::text::jsonb, ${binding.event}::text
      from pg_publication_tables
      where pubname = ${PUBLICATION}
        and ${binding.schema}::text in ('*', schemaname::text)
        and ${binding.table}::text in ('*', tablename::text)
      returning entity::oid::bigint as entity`;
  } catch (error) {
    if (!error.severity) throw error;
    const text = `${advice}An exception happened so please check your connect parameters: `;
    throw new SubscriptionError(
      `${text}${describeBinding(binding)}. Exception: ${error.message}`,
    );
  }
  if (!rows.length) {
    const text = `${advice}Please check Realtime is enabled for the given connect parameters: `;
    throw new SubscriptionError(text + describeBinding(binding));
  }
  return { uuid, entities: rows.map((row) => Number(row.entity)) };
}
