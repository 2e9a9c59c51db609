// The database as the caller sees it: the head of an agency's figures (what they would be called
// now) and the figures themselves. Row security decides; nothing is kept here.

import { DatabaseAway } from "../_shared/errors.ts";
import type { Question } from "./question.ts";

export type Json = Readonly<Record<string, unknown>>;

/** What is true of this moment only, and therefore never cached. */
export interface Moment {
  readonly freshness: unknown;
  readonly as_of: unknown;
}

/** The present state of an agency's figures, by name. */
export interface Head {
  readonly stamp: string;
  readonly moment: Moment;
}

/** Figures under their stamp; equal stamps mean equal figures. */
export interface Figures {
  readonly stamp: string;
  /** The whole object but for what is true of one moment only. */
  readonly stats: Json;
}

/** Calls a function of the database as the user who asks. */
export type Call = (
  name: "stats_head" | "dashboard_stats",
  args: Readonly<Record<string, string>>,
) => Promise<unknown>;

export class Source {
  readonly #call: Call;

  constructor(call: Call) {
    this.#call = call;
  }

  /** Asks whether the caller may know, and for the present stamp. */
  async head(agencyId: string): Promise<Head> {
    const answer = await this.#call("stats_head", { p_agency_id: agencyId });
    if (!isJson(answer) || typeof answer.stamp !== "string") {
      throw new DatabaseAway("stats_head answered without a stamp");
    }
    const { stamp, freshness, as_of } = answer;
    return { stamp, moment: { freshness, as_of } };
  }

  /** Computes the figures. */
  async figures(question: Question): Promise<[Figures, Moment]> {
    const answer = await this.#call("dashboard_stats", {
      p_agency_id: question.agencyId,
      p_from: question.from,
      p_to: question.to,
    });
    if (!isJson(answer)) {
      throw new DatabaseAway("dashboard_stats answered no object");
    }
    const { freshness, as_of, ...stats } = answer;
    const figures = { stamp: stats.stamp, stats };
    if (!isAbout(figures, question)) {
      throw new DatabaseAway("dashboard_stats answered about something else");
    }
    return [figures, { freshness, as_of }];
  }
}

/** Tells whether a value is an answer to this very question, whoever wrote it. */
export function isAbout(value: unknown, question: Question): value is Figures {
  if (!isJson(value) || !isJson(value.stats)) return false;
  const { stamp, stats } = value;
  return typeof stamp === "string" && stamp !== "" && stats.stamp === stamp &&
    stats.agency_id === question.agencyId && stats.from === question.from &&
    stats.to === question.to && PARTS.every((part) => isPart(stats[part])) &&
    LISTS.every((list) => Array.isArray(stats[list]));
}

const PARTS = ["totals", "previous", "audience", "unconfirmed"];
const LISTS = ["by_category", "by_model", "by_day", "top_fans"];

function isPart(value: unknown): boolean {
  return isJson(value) && !Array.isArray(value);
}

function isJson(value: unknown): value is Json {
  return typeof value === "object" && value !== null;
}
