/**
 * What each category of money is called and looks like. Categories that nobody knew of yet get a
 * readable name and the neutral colour.
 */

import {
  BadgeDollarSign,
  Gift,
  Handshake,
  Image,
  Link2,
  type LucideIcon,
  MessageCircle,
  PartyPopper,
  Repeat,
  RotateCcw,
  ShieldAlert,
  ShoppingCart,
  Smartphone,
  Sparkles,
  Star,
  Users,
} from "lucide-react";

interface Look {
  readonly label: string;
  readonly icon: LucideIcon;
  /** A colour variable of globals.css. */
  readonly colour: string;
}

const LOOKS: Readonly<Record<string, Look>> = {
  message: { label: "Messages", icon: MessageCircle, colour: "var(--chart-1)" },
  subscription: { label: "Subscriptions", icon: Star, colour: "var(--chart-2)" },
  renewal: { label: "Renewals", icon: Repeat, colour: "var(--chart-3)" },
  tip: { label: "Tips", icon: Gift, colour: "var(--chart-4)" },
  post: { label: "Posts", icon: Image, colour: "var(--chart-5)" },
  media_link: { label: "Media links", icon: Link2, colour: "var(--chart-6)" },
  checkout_link: { label: "Checkout links", icon: ShoppingCart, colour: "var(--chart-9)" },
  referral: { label: "Referrals", icon: Users, colour: "var(--chart-7)" },
  affiliate: { label: "Affiliates", icon: Handshake, colour: "var(--chart-10)" },
  giveaway: { label: "Giveaways", icon: PartyPopper, colour: "var(--chart-11)" },
  fan_experience: { label: "Fan experiences", icon: Sparkles, colour: "var(--chart-12)" },
  app_store: { label: "App store", icon: Smartphone, colour: "var(--chart-13)" },
  refund: { label: "Refunds", icon: RotateCcw, colour: "var(--chart-bad)" },
  chargeback: { label: "Chargebacks", icon: ShieldAlert, colour: "var(--chart-bad-2)" },
};

export function lookOf(category: string | null): Look {
  const name = category ?? "uncategorised";
  return (
    LOOKS[name] ?? { label: sentenceCase(name), icon: BadgeDollarSign, colour: "var(--chart-8)" }
  );
}

function sentenceCase(name: string): string {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
