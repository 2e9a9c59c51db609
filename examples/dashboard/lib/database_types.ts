// Generated from schema public by supabase/functions/tests/check-types.sh --write.
// deno-lint-ignore-file

export type Json = string | number | boolean | null | {
  [key: string]: Json | undefined;
} | Json[];

export type Database = {
  "public": {
    Tables: {
      "agencies": {
        Row: {
          "created_at": string;
          "id": string;
          "name": string;
          "owner_id": string | null;
        };
        ComputedFields: never;
        Insert: {
          "created_at"?: string;
          "id"?: string;
          "name": string;
          "owner_id"?: string | null;
        };
        Update: {
          "created_at"?: string;
          "id"?: string;
          "name"?: string;
          "owner_id"?: string | null;
        };
        Relationships: [];
      };
      "agency_connections": {
        Row: {
          "access_token": string | null;
          "agency_id": string;
          "connected_at": string | null;
          "consent_fingerprint": string | null;
          "created_at": string;
          "fanvue_user_uuid": string;
          "handle": string | null;
          "id": string;
          "listed_at": string | null;
          "reason_code": string | null;
          "refresh_token": string | null;
          "status": string;
          "status_changed_at": string;
          "status_reason": string | null;
          "token_expires_at": string | null;
          "token_issued_at": string | null;
          "token_version": number;
          "updated_at": string;
        };
        ComputedFields: never;
        Insert: {
          "access_token"?: string | null;
          "agency_id": string;
          "connected_at"?: string | null;
          "consent_fingerprint"?: string | null;
          "created_at"?: string;
          "fanvue_user_uuid": string;
          "handle"?: string | null;
          "id"?: string;
          "listed_at"?: string | null;
          "reason_code"?: string | null;
          "refresh_token"?: string | null;
          "status"?: string;
          "status_changed_at"?: string;
          "status_reason"?: string | null;
          "token_expires_at"?: string | null;
          "token_issued_at"?: string | null;
          "token_version"?: number;
          "updated_at"?: string;
        };
        Update: {
          "access_token"?: string | null;
          "agency_id"?: string;
          "connected_at"?: string | null;
          "consent_fingerprint"?: string | null;
          "created_at"?: string;
          "fanvue_user_uuid"?: string;
          "handle"?: string | null;
          "id"?: string;
          "listed_at"?: string | null;
          "reason_code"?: string | null;
          "refresh_token"?: string | null;
          "status"?: string;
          "status_changed_at"?: string;
          "status_reason"?: string | null;
          "token_expires_at"?: string | null;
          "token_issued_at"?: string | null;
          "token_version"?: number;
          "updated_at"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "agency_connections_agency_id_fkey";
            columns: ["agency_id"];
            isOneToOne: false;
            referencedRelation: "agencies";
            referencedColumns: ["id"];
          },
        ];
      };
      "agency_members": {
        Row: {
          "agency_id": string;
          "created_at": string;
          "role": string;
          "user_id": string;
        };
        ComputedFields: never;
        Insert: {
          "agency_id": string;
          "created_at"?: string;
          "role"?: string;
          "user_id": string;
        };
        Update: {
          "agency_id"?: string;
          "created_at"?: string;
          "role"?: string;
          "user_id"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "agency_members_agency_id_fkey";
            columns: ["agency_id"];
            isOneToOne: false;
            referencedRelation: "agencies";
            referencedColumns: ["id"];
          },
        ];
      };
      "agency_trail": {
        Row: {
          "action": string;
          "agency_id": string;
          "at": string;
          "detail": NonNullable<Json>;
          "id": string;
          "subject_id": string | null;
          "user_id": string | null;
          "who": string;
        };
        ComputedFields: never;
        Insert: {
          "action": string;
          "agency_id": string;
          "at"?: string;
          "detail"?: NonNullable<Json>;
          "id"?: string;
          "subject_id"?: string | null;
          "user_id"?: string | null;
          "who": string;
        };
        Update: {
          "action"?: string;
          "agency_id"?: string;
          "at"?: string;
          "detail"?: NonNullable<Json>;
          "id"?: string;
          "subject_id"?: string | null;
          "user_id"?: string | null;
          "who"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "agency_trail_agency_id_fkey";
            columns: ["agency_id"];
            isOneToOne: false;
            referencedRelation: "agencies";
            referencedColumns: ["id"];
          },
        ];
      };
      "connect_links": {
        Row: {
          "agency_id": string;
          "created_at": string;
          "created_by": string | null;
          "creator_id": string | null;
          "expires_at": string;
          "id": string;
          "label": string | null;
          "link_hash": string;
          "used_at": string | null;
        };
        ComputedFields: never;
        Insert: {
          "agency_id": string;
          "created_at"?: string;
          "created_by"?: string | null;
          "creator_id"?: string | null;
          "expires_at"?: string;
          "id"?: string;
          "label"?: string | null;
          "link_hash": string;
          "used_at"?: string | null;
        };
        Update: {
          "agency_id"?: string;
          "created_at"?: string;
          "created_by"?: string | null;
          "creator_id"?: string | null;
          "expires_at"?: string;
          "id"?: string;
          "label"?: string | null;
          "link_hash"?: string;
          "used_at"?: string | null;
        };
        Relationships: [
          {
            foreignKeyName: "connect_links_agency_id_fkey";
            columns: ["agency_id"];
            isOneToOne: false;
            referencedRelation: "agencies";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "connect_links_creator_id_fkey";
            columns: ["creator_id"];
            isOneToOne: false;
            referencedRelation: "model_overview";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "connect_links_creator_id_fkey";
            columns: ["creator_id"];
            isOneToOne: false;
            referencedRelation: "models";
            referencedColumns: ["id"];
          },
        ];
      };
      "earnings_daily": {
        Row: {
          "agency_id": string;
          "category": string;
          "day": string;
          "gross": number;
          "model_id": string;
          "net": number;
          "transactions": number;
        };
        ComputedFields: never;
        Insert: {
          "agency_id": string;
          "category": string;
          "day": string;
          "gross"?: number;
          "model_id": string;
          "net"?: number;
          "transactions"?: number;
        };
        Update: {
          "agency_id"?: string;
          "category"?: string;
          "day"?: string;
          "gross"?: number;
          "model_id"?: string;
          "net"?: number;
          "transactions"?: number;
        };
        Relationships: [
          {
            foreignKeyName: "earnings_daily_agency_id_fkey";
            columns: ["agency_id"];
            isOneToOne: false;
            referencedRelation: "agencies";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "earnings_daily_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: false;
            referencedRelation: "model_overview";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "earnings_daily_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: false;
            referencedRelation: "models";
            referencedColumns: ["id"];
          },
        ];
      };
      "fanvue_accounts": {
        Row: {
          "agency_id": string;
          "available_balance": number | null;
          "counted_followers": number | null;
          "counted_subscribers": number | null;
          "followers": number | null;
          "last_payout_at": string | null;
          "model_id": string;
          "status": string | null;
          "subscribers": number | null;
          "synced_at": string;
          "total_gross": number | null;
        };
        ComputedFields: never;
        Insert: {
          "agency_id": string;
          "available_balance"?: number | null;
          "counted_followers"?: number | null;
          "counted_subscribers"?: number | null;
          "followers"?: number | null;
          "last_payout_at"?: string | null;
          "model_id": string;
          "status"?: string | null;
          "subscribers"?: number | null;
          "synced_at"?: string;
          "total_gross"?: number | null;
        };
        Update: {
          "agency_id"?: string;
          "available_balance"?: number | null;
          "counted_followers"?: number | null;
          "counted_subscribers"?: number | null;
          "followers"?: number | null;
          "last_payout_at"?: string | null;
          "model_id"?: string;
          "status"?: string | null;
          "subscribers"?: number | null;
          "synced_at"?: string;
          "total_gross"?: number | null;
        };
        Relationships: [
          {
            foreignKeyName: "fanvue_accounts_agency_id_fkey";
            columns: ["agency_id"];
            isOneToOne: false;
            referencedRelation: "agencies";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "fanvue_accounts_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: true;
            referencedRelation: "model_overview";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "fanvue_accounts_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: true;
            referencedRelation: "models";
            referencedColumns: ["id"];
          },
        ];
      };
      "fanvue_chats": {
        Row: {
          "agency_id": string;
          "display_name": string | null;
          "fan_uuid": string;
          "fanvue_created_at": string | null;
          "first_seen_at": string;
          "handle": string | null;
          "history_cursor": string | null;
          "history_done": boolean;
          "id": string;
          "is_muted": boolean | null;
          "known_until": string | null;
          "last_message_at": string | null;
          "last_message_uuid": string | null;
          "live_cursor": string | null;
          "live_newest": string | null;
          "model_id": string;
          "pending": boolean;
          "unread_count": number | null;
        };
        ComputedFields: never;
        Insert: {
          "agency_id": string;
          "display_name"?: string | null;
          "fan_uuid": string;
          "fanvue_created_at"?: string | null;
          "first_seen_at"?: string;
          "handle"?: string | null;
          "history_cursor"?: string | null;
          "history_done"?: boolean;
          "id"?: string;
          "is_muted"?: boolean | null;
          "known_until"?: string | null;
          "last_message_at"?: string | null;
          "last_message_uuid"?: string | null;
          "live_cursor"?: string | null;
          "live_newest"?: string | null;
          "model_id": string;
          "pending"?: boolean;
          "unread_count"?: number | null;
        };
        Update: {
          "agency_id"?: string;
          "display_name"?: string | null;
          "fan_uuid"?: string;
          "fanvue_created_at"?: string | null;
          "first_seen_at"?: string;
          "handle"?: string | null;
          "history_cursor"?: string | null;
          "history_done"?: boolean;
          "id"?: string;
          "is_muted"?: boolean | null;
          "known_until"?: string | null;
          "last_message_at"?: string | null;
          "last_message_uuid"?: string | null;
          "live_cursor"?: string | null;
          "live_newest"?: string | null;
          "model_id"?: string;
          "pending"?: boolean;
          "unread_count"?: number | null;
        };
        Relationships: [
          {
            foreignKeyName: "fanvue_chats_agency_id_fkey";
            columns: ["agency_id"];
            isOneToOne: false;
            referencedRelation: "agencies";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "fanvue_chats_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: false;
            referencedRelation: "model_overview";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "fanvue_chats_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: false;
            referencedRelation: "models";
            referencedColumns: ["id"];
          },
        ];
      };
      "fanvue_fans": {
        Row: {
          "agency_id": string;
          "auto_renews": boolean | null;
          "auto_renews_by": string | null;
          "changed_at": string | null;
          "changed_by": string | null;
          "display_name": string | null;
          "end_reason": string | null;
          "ended_at": string | null;
          "expires_at": string | null;
          "fan_uuid": string;
          "first_seen_at": string;
          "followed_at": string | null;
          "follower_missed_at": string | null;
          "follower_seen_at": string | null;
          "handle": string | null;
          "id": string;
          "is_follower": boolean;
          "is_subscriber": boolean;
          "is_top_spender": boolean | null;
          "last_seen_at": string;
          "model_id": string;
          "price": number | null;
          "read_until": string | null;
          "registered_at": string | null;
          "subscribed_at": string | null;
          "subscriber_missed_at": string | null;
          "subscriber_seen_at": string | null;
          "subscription_id": string | null;
          "subscription_status": string | null;
          "unfollowed_at": string | null;
        };
        ComputedFields: never;
        Insert: {
          "agency_id": string;
          "auto_renews"?: boolean | null;
          "auto_renews_by"?: string | null;
          "changed_at"?: string | null;
          "changed_by"?: string | null;
          "display_name"?: string | null;
          "end_reason"?: string | null;
          "ended_at"?: string | null;
          "expires_at"?: string | null;
          "fan_uuid": string;
          "first_seen_at"?: string;
          "followed_at"?: string | null;
          "follower_missed_at"?: string | null;
          "follower_seen_at"?: string | null;
          "handle"?: string | null;
          "id"?: string;
          "is_follower"?: boolean;
          "is_subscriber"?: boolean;
          "is_top_spender"?: boolean | null;
          "last_seen_at"?: string;
          "model_id": string;
          "price"?: number | null;
          "read_until"?: string | null;
          "registered_at"?: string | null;
          "subscribed_at"?: string | null;
          "subscriber_missed_at"?: string | null;
          "subscriber_seen_at"?: string | null;
          "subscription_id"?: string | null;
          "subscription_status"?: string | null;
          "unfollowed_at"?: string | null;
        };
        Update: {
          "agency_id"?: string;
          "auto_renews"?: boolean | null;
          "auto_renews_by"?: string | null;
          "changed_at"?: string | null;
          "changed_by"?: string | null;
          "display_name"?: string | null;
          "end_reason"?: string | null;
          "ended_at"?: string | null;
          "expires_at"?: string | null;
          "fan_uuid"?: string;
          "first_seen_at"?: string;
          "followed_at"?: string | null;
          "follower_missed_at"?: string | null;
          "follower_seen_at"?: string | null;
          "handle"?: string | null;
          "id"?: string;
          "is_follower"?: boolean;
          "is_subscriber"?: boolean;
          "is_top_spender"?: boolean | null;
          "last_seen_at"?: string;
          "model_id"?: string;
          "price"?: number | null;
          "read_until"?: string | null;
          "registered_at"?: string | null;
          "subscribed_at"?: string | null;
          "subscriber_missed_at"?: string | null;
          "subscriber_seen_at"?: string | null;
          "subscription_id"?: string | null;
          "subscription_status"?: string | null;
          "unfollowed_at"?: string | null;
        };
        Relationships: [
          {
            foreignKeyName: "fanvue_fans_agency_id_fkey";
            columns: ["agency_id"];
            isOneToOne: false;
            referencedRelation: "agencies";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "fanvue_fans_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: false;
            referencedRelation: "model_overview";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "fanvue_fans_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: false;
            referencedRelation: "models";
            referencedColumns: ["id"];
          },
        ];
      };
      "fanvue_messages": {
        Row: {
          "agency_id": string;
          "body": string | null;
          "created_at": string;
          "deleted_at": string | null;
          "fan_uuid": string;
          "has_media": boolean | null;
          "id": string;
          "media_count": number | null;
          "media_type": string | null;
          "message_uuid": string;
          "model_id": string;
          "price": number | null;
          "purchased_at": string | null;
          "read_at": string | null;
          "sender": string;
          "sent_at": string;
          "type": string | null;
        };
        ComputedFields: never;
        Insert: {
          "agency_id": string;
          "body"?: string | null;
          "created_at"?: string;
          "deleted_at"?: string | null;
          "fan_uuid": string;
          "has_media"?: boolean | null;
          "id"?: string;
          "media_count"?: number | null;
          "media_type"?: string | null;
          "message_uuid": string;
          "model_id": string;
          "price"?: number | null;
          "purchased_at"?: string | null;
          "read_at"?: string | null;
          "sender": string;
          "sent_at": string;
          "type"?: string | null;
        };
        Update: {
          "agency_id"?: string;
          "body"?: string | null;
          "created_at"?: string;
          "deleted_at"?: string | null;
          "fan_uuid"?: string;
          "has_media"?: boolean | null;
          "id"?: string;
          "media_count"?: number | null;
          "media_type"?: string | null;
          "message_uuid"?: string;
          "model_id"?: string;
          "price"?: number | null;
          "purchased_at"?: string | null;
          "read_at"?: string | null;
          "sender"?: string;
          "sent_at"?: string;
          "type"?: string | null;
        };
        Relationships: [
          {
            foreignKeyName: "fanvue_messages_agency_id_fkey";
            columns: ["agency_id"];
            isOneToOne: false;
            referencedRelation: "agencies";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "fanvue_messages_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: false;
            referencedRelation: "model_overview";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "fanvue_messages_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: false;
            referencedRelation: "models";
            referencedColumns: ["id"];
          },
        ];
      };
      "fanvue_posts": {
        Row: {
          "agency_id": string;
          "audience": string | null;
          "body": string | null;
          "comments": number | null;
          "deleted_at": string | null;
          "expires_at": string | null;
          "fanvue_created_at": string;
          "first_seen_at": string;
          "id": string;
          "is_pinned": boolean | null;
          "likes": number | null;
          "missed_at": string | null;
          "model_id": string;
          "post_uuid": string;
          "price": number | null;
          "publish_at": string | null;
          "published_at": string | null;
          "seen_at": string | null;
          "synced_at": string;
          "tips": number | null;
          "tips_gross": number | null;
          "tips_net": number | null;
        };
        ComputedFields: never;
        Insert: {
          "agency_id": string;
          "audience"?: string | null;
          "body"?: string | null;
          "comments"?: number | null;
          "deleted_at"?: string | null;
          "expires_at"?: string | null;
          "fanvue_created_at": string;
          "first_seen_at"?: string;
          "id"?: string;
          "is_pinned"?: boolean | null;
          "likes"?: number | null;
          "missed_at"?: string | null;
          "model_id": string;
          "post_uuid": string;
          "price"?: number | null;
          "publish_at"?: string | null;
          "published_at"?: string | null;
          "seen_at"?: string | null;
          "synced_at"?: string;
          "tips"?: number | null;
          "tips_gross"?: number | null;
          "tips_net"?: number | null;
        };
        Update: {
          "agency_id"?: string;
          "audience"?: string | null;
          "body"?: string | null;
          "comments"?: number | null;
          "deleted_at"?: string | null;
          "expires_at"?: string | null;
          "fanvue_created_at"?: string;
          "first_seen_at"?: string;
          "id"?: string;
          "is_pinned"?: boolean | null;
          "likes"?: number | null;
          "missed_at"?: string | null;
          "model_id"?: string;
          "post_uuid"?: string;
          "price"?: number | null;
          "publish_at"?: string | null;
          "published_at"?: string | null;
          "seen_at"?: string | null;
          "synced_at"?: string;
          "tips"?: number | null;
          "tips_gross"?: number | null;
          "tips_net"?: number | null;
        };
        Relationships: [
          {
            foreignKeyName: "fanvue_posts_agency_id_fkey";
            columns: ["agency_id"];
            isOneToOne: false;
            referencedRelation: "agencies";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "fanvue_posts_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: false;
            referencedRelation: "model_overview";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "fanvue_posts_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: false;
            referencedRelation: "models";
            referencedColumns: ["id"];
          },
        ];
      };
      "fanvue_top_fans": {
        Row: {
          "agency_id": string;
          "day": string;
          "display_name": string | null;
          "fan_uuid": string;
          "gross": number | null;
          "handle": string | null;
          "messages": number | null;
          "model_id": string;
          "net": number | null;
          "rank": number;
          "synced_at": string;
        };
        ComputedFields: never;
        Insert: {
          "agency_id": string;
          "day": string;
          "display_name"?: string | null;
          "fan_uuid": string;
          "gross"?: number | null;
          "handle"?: string | null;
          "messages"?: number | null;
          "model_id": string;
          "net"?: number | null;
          "rank": number;
          "synced_at"?: string;
        };
        Update: {
          "agency_id"?: string;
          "day"?: string;
          "display_name"?: string | null;
          "fan_uuid"?: string;
          "gross"?: number | null;
          "handle"?: string | null;
          "messages"?: number | null;
          "model_id"?: string;
          "net"?: number | null;
          "rank"?: number;
          "synced_at"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "fanvue_top_fans_agency_id_fkey";
            columns: ["agency_id"];
            isOneToOne: false;
            referencedRelation: "agencies";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "fanvue_top_fans_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: false;
            referencedRelation: "model_overview";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "fanvue_top_fans_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: false;
            referencedRelation: "models";
            referencedColumns: ["id"];
          },
        ];
      };
      "fanvue_transactions": {
        Row: {
          "agency_id": string;
          "amount": number;
          "category": string | null;
          "created_at": string | null;
          "currency": string | null;
          "fan_handle": string | null;
          "fan_uuid": string | null;
          "fanvue_created_at": string;
          "fanvue_id": string;
          "id": string;
          "message_uuid": string | null;
          "model_id": string;
          "net_amount": number | null;
          "origin": string;
          "post_uuid": string | null;
          "reverses_fanvue_id": string | null;
          "sent_currency": string | null;
          "sent_minor_units": number | null;
          "source": string | null;
          "status": string | null;
          "synced_at": string | null;
        };
        ComputedFields: never;
        Insert: {
          "agency_id": string;
          "amount": number;
          "category"?: string | null;
          "created_at"?: string | null;
          "currency"?: string | null;
          "fan_handle"?: string | null;
          "fan_uuid"?: string | null;
          "fanvue_created_at": string;
          "fanvue_id": string;
          "id"?: string;
          "message_uuid"?: string | null;
          "model_id": string;
          "net_amount"?: number | null;
          "origin"?: string;
          "post_uuid"?: string | null;
          "reverses_fanvue_id"?: string | null;
          "sent_currency"?: string | null;
          "sent_minor_units"?: number | null;
          "source"?: string | null;
          "status"?: string | null;
          "synced_at"?: string | null;
        };
        Update: {
          "agency_id"?: string;
          "amount"?: number;
          "category"?: string | null;
          "created_at"?: string | null;
          "currency"?: string | null;
          "fan_handle"?: string | null;
          "fan_uuid"?: string | null;
          "fanvue_created_at"?: string;
          "fanvue_id"?: string;
          "id"?: string;
          "message_uuid"?: string | null;
          "model_id"?: string;
          "net_amount"?: number | null;
          "origin"?: string;
          "post_uuid"?: string | null;
          "reverses_fanvue_id"?: string | null;
          "sent_currency"?: string | null;
          "sent_minor_units"?: number | null;
          "source"?: string | null;
          "status"?: string | null;
          "synced_at"?: string | null;
        };
        Relationships: [
          {
            foreignKeyName: "fanvue_transactions_agency_id_fkey";
            columns: ["agency_id"];
            isOneToOne: false;
            referencedRelation: "agencies";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "fanvue_transactions_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: false;
            referencedRelation: "model_overview";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "fanvue_transactions_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: false;
            referencedRelation: "models";
            referencedColumns: ["id"];
          },
        ];
      };
      "invitations": {
        Row: {
          "accepted_at": string | null;
          "accepted_by": string | null;
          "agency_id": string;
          "created_at": string;
          "email": string;
          "expires_at": string;
          "id": string;
          "invited_by": string | null;
          "role": string;
        };
        ComputedFields: never;
        Insert: {
          "accepted_at"?: string | null;
          "accepted_by"?: string | null;
          "agency_id": string;
          "created_at"?: string;
          "email": string;
          "expires_at"?: string;
          "id"?: string;
          "invited_by"?: string | null;
          "role"?: string;
        };
        Update: {
          "accepted_at"?: string | null;
          "accepted_by"?: string | null;
          "agency_id"?: string;
          "created_at"?: string;
          "email"?: string;
          "expires_at"?: string;
          "id"?: string;
          "invited_by"?: string | null;
          "role"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "invitations_agency_id_fkey";
            columns: ["agency_id"];
            isOneToOne: false;
            referencedRelation: "agencies";
            referencedColumns: ["id"];
          },
        ];
      };
      "models": {
        Row: {
          "agency_id": string;
          "connected_at": string | null;
          "connection_id": string | null;
          "created_at": string | null;
          "disconnected_at": string | null;
          "display_name": string | null;
          "fanvue_access_token": string | null;
          "fanvue_refresh_token": string | null;
          "fanvue_token_expires_at": string | null;
          "fanvue_token_issued_at": string | null;
          "fanvue_user_uuid": string | null;
          "followers_count": number | null;
          "handle": string | null;
          "id": string;
          "reason_code": string | null;
          "revenue_total": number;
          "status": string;
          "status_changed_at": string;
          "status_reason": string | null;
          "subscribers_count": number | null;
          "token_version": number;
          "updated_at": string;
        };
        ComputedFields: never;
        Insert: {
          "agency_id": string;
          "connected_at"?: string | null;
          "connection_id"?: string | null;
          "created_at"?: string | null;
          "disconnected_at"?: string | null;
          "display_name"?: string | null;
          "fanvue_access_token"?: string | null;
          "fanvue_refresh_token"?: string | null;
          "fanvue_token_expires_at"?: string | null;
          "fanvue_token_issued_at"?: string | null;
          "fanvue_user_uuid"?: string | null;
          "followers_count"?: number | null;
          "handle"?: string | null;
          "id"?: string;
          "reason_code"?: string | null;
          "revenue_total"?: number;
          "status"?: string;
          "status_changed_at"?: string;
          "status_reason"?: string | null;
          "subscribers_count"?: number | null;
          "token_version"?: number;
          "updated_at"?: string;
        };
        Update: {
          "agency_id"?: string;
          "connected_at"?: string | null;
          "connection_id"?: string | null;
          "created_at"?: string | null;
          "disconnected_at"?: string | null;
          "display_name"?: string | null;
          "fanvue_access_token"?: string | null;
          "fanvue_refresh_token"?: string | null;
          "fanvue_token_expires_at"?: string | null;
          "fanvue_token_issued_at"?: string | null;
          "fanvue_user_uuid"?: string | null;
          "followers_count"?: number | null;
          "handle"?: string | null;
          "id"?: string;
          "reason_code"?: string | null;
          "revenue_total"?: number;
          "status"?: string;
          "status_changed_at"?: string;
          "status_reason"?: string | null;
          "subscribers_count"?: number | null;
          "token_version"?: number;
          "updated_at"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "models_agency_id_fkey";
            columns: ["agency_id"];
            isOneToOne: false;
            referencedRelation: "agencies";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "models_connection_id_fkey";
            columns: ["connection_id", "agency_id"];
            isOneToOne: false;
            referencedRelation: "agency_connections";
            referencedColumns: ["id", "agency_id"];
          },
        ];
      };
      "reconciliation_findings": {
        Row: {
          "accepted_note": string | null;
          "agency_id": string;
          "category": string | null;
          "changed_columns": (string)[];
          "day": string;
          "fanvue_gross": number | null;
          "fanvue_id": string | null;
          "fanvue_net": number | null;
          "first_seen_at": string;
          "happened_at": string | null;
          "id": number;
          "kind": string;
          "last_seen_at": string;
          "ledger_gross": number | null;
          "ledger_net": number | null;
          "model_id": string;
          "resolved_at": string | null;
          "run_id": string | null;
          "state": string;
          "subject": string;
          "transaction_id": string | null;
          "transactions": number;
          "what": string | null;
        };
        ComputedFields: never;
        Insert: {
          "accepted_note"?: string | null;
          "agency_id": string;
          "category"?: string | null;
          "changed_columns"?: (string)[];
          "day": string;
          "fanvue_gross"?: number | null;
          "fanvue_id"?: string | null;
          "fanvue_net"?: number | null;
          "first_seen_at"?: string;
          "happened_at"?: string | null;
          "id"?: never;
          "kind": string;
          "last_seen_at"?: string;
          "ledger_gross"?: number | null;
          "ledger_net"?: number | null;
          "model_id": string;
          "resolved_at"?: string | null;
          "run_id"?: string | null;
          "state"?: string;
          "subject": string;
          "transaction_id"?: string | null;
          "transactions"?: number;
          "what"?: string | null;
        };
        Update: {
          "accepted_note"?: string | null;
          "agency_id"?: string;
          "category"?: string | null;
          "changed_columns"?: (string)[];
          "day"?: string;
          "fanvue_gross"?: number | null;
          "fanvue_id"?: string | null;
          "fanvue_net"?: number | null;
          "first_seen_at"?: string;
          "happened_at"?: string | null;
          "id"?: never;
          "kind"?: string;
          "last_seen_at"?: string;
          "ledger_gross"?: number | null;
          "ledger_net"?: number | null;
          "model_id"?: string;
          "resolved_at"?: string | null;
          "run_id"?: string | null;
          "state"?: string;
          "subject"?: string;
          "transaction_id"?: string | null;
          "transactions"?: number;
          "what"?: string | null;
        };
        Relationships: [
          {
            foreignKeyName: "reconciliation_findings_agency_id_fkey";
            columns: ["agency_id"];
            isOneToOne: false;
            referencedRelation: "agencies";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "reconciliation_findings_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: false;
            referencedRelation: "model_overview";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "reconciliation_findings_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: false;
            referencedRelation: "models";
            referencedColumns: ["id"];
          },
        ];
      };
      "sync_jobs": {
        Row: {
          "agency_id": string;
          "asked_at": string | null;
          "attempt": number;
          "bucket": string;
          "cancel_requested": boolean;
          "cause": string | null;
          "claim_id": string | null;
          "claimed_at": string | null;
          "claimed_by": string | null;
          "created_at": string;
          "id": number;
          "last_error": Json | null;
          "lease_id": number | null;
          "lease_until": string | null;
          "max_attempts": number;
          "member_error": Json | null;
          "model_id": string;
          "pages": number;
          "priority": number;
          "progress": Json | null;
          "requests": number;
          "rows_inserted": number;
          "rows_unchanged": number;
          "rows_updated": number;
          "run_at": string;
          "state": string;
          "sync_type": string;
        };
        ComputedFields: never;
        Insert: {
          "agency_id": string;
          "asked_at"?: string | null;
          "attempt"?: number;
          "bucket"?: string;
          "cancel_requested"?: boolean;
          "cause"?: string | null;
          "claim_id"?: string | null;
          "claimed_at"?: string | null;
          "claimed_by"?: string | null;
          "created_at"?: string;
          "id"?: never;
          "last_error"?: Json | null;
          "lease_id"?: number | null;
          "lease_until"?: string | null;
          "max_attempts"?: number;
          "member_error"?: never;
          "model_id": string;
          "pages"?: number;
          "priority"?: number;
          "progress"?: Json | null;
          "requests"?: number;
          "rows_inserted"?: number;
          "rows_unchanged"?: number;
          "rows_updated"?: number;
          "run_at"?: string;
          "state"?: string;
          "sync_type": string;
        };
        Update: {
          "agency_id"?: string;
          "asked_at"?: string | null;
          "attempt"?: number;
          "bucket"?: string;
          "cancel_requested"?: boolean;
          "cause"?: string | null;
          "claim_id"?: string | null;
          "claimed_at"?: string | null;
          "claimed_by"?: string | null;
          "created_at"?: string;
          "id"?: never;
          "last_error"?: Json | null;
          "lease_id"?: number | null;
          "lease_until"?: string | null;
          "max_attempts"?: number;
          "member_error"?: never;
          "model_id"?: string;
          "pages"?: number;
          "priority"?: number;
          "progress"?: Json | null;
          "requests"?: number;
          "rows_inserted"?: number;
          "rows_unchanged"?: number;
          "rows_updated"?: number;
          "run_at"?: string;
          "state"?: string;
          "sync_type"?: string;
        };
        Relationships: [
          {
            foreignKeyName: "sync_jobs_agency_id_fkey";
            columns: ["agency_id"];
            isOneToOne: false;
            referencedRelation: "agencies";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "sync_jobs_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: false;
            referencedRelation: "model_overview";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "sync_jobs_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: false;
            referencedRelation: "models";
            referencedColumns: ["id"];
          },
        ];
      };
      "sync_runs": {
        Row: {
          "agency_id": string;
          "attempt": number;
          "detail": NonNullable<Json>;
          "error": Json | null;
          "finished_at": string;
          "id": number;
          "job_id": number;
          "lease_id": number | null;
          "member_error": Json | null;
          "model_id": string;
          "pages": number;
          "queued_at": string;
          "requests": number;
          "rows_inserted": number;
          "rows_unchanged": number;
          "rows_updated": number;
          "started_at": string | null;
          "state": string;
          "sync_type": string;
          "throttled": number;
          "waited_ms": number;
          "worker": string | null;
        };
        ComputedFields: never;
        Insert: {
          "agency_id": string;
          "attempt": number;
          "detail"?: NonNullable<Json>;
          "error"?: Json | null;
          "finished_at": string;
          "id"?: never;
          "job_id": number;
          "lease_id"?: number | null;
          "member_error"?: never;
          "model_id": string;
          "pages"?: number;
          "queued_at": string;
          "requests"?: number;
          "rows_inserted"?: number;
          "rows_unchanged"?: number;
          "rows_updated"?: number;
          "started_at"?: string | null;
          "state": string;
          "sync_type": string;
          "throttled"?: number;
          "waited_ms"?: number;
          "worker"?: string | null;
        };
        Update: {
          "agency_id"?: string;
          "attempt"?: number;
          "detail"?: NonNullable<Json>;
          "error"?: Json | null;
          "finished_at"?: string;
          "id"?: never;
          "job_id"?: number;
          "lease_id"?: number | null;
          "member_error"?: never;
          "model_id"?: string;
          "pages"?: number;
          "queued_at"?: string;
          "requests"?: number;
          "rows_inserted"?: number;
          "rows_unchanged"?: number;
          "rows_updated"?: number;
          "started_at"?: string | null;
          "state"?: string;
          "sync_type"?: string;
          "throttled"?: number;
          "waited_ms"?: number;
          "worker"?: string | null;
        };
        Relationships: [
          {
            foreignKeyName: "sync_runs_agency_id_fkey";
            columns: ["agency_id"];
            isOneToOne: false;
            referencedRelation: "agencies";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "sync_runs_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: false;
            referencedRelation: "model_overview";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "sync_runs_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: false;
            referencedRelation: "models";
            referencedColumns: ["id"];
          },
        ];
      };
      "sync_state": {
        Row: {
          "agency_id": string;
          "aside_checked_at": string | null;
          "consecutive_failures": number;
          "full_requested": boolean;
          "high_water": string | null;
          "id": string;
          "last_cursor": string | null;
          "last_deep_at": string | null;
          "last_error": Json | null;
          "last_full_at": string | null;
          "last_page_key": string | null;
          "last_page_reply": Json | null;
          "last_success_at": string | null;
          "last_sync_at": string | null;
          "member_error": Json | null;
          "model_id": string;
          "next_sync_at": string | null;
          "quiet_runs": number;
          "requested_at": string | null;
          "shrink_accepted_at": string | null;
          "sync_type": string;
          "validator": Json | null;
          "version": number;
          "walk_border": (string)[];
          "walk_ceiling": string | null;
          "walk_changed": number;
          "walk_floor": string | null;
          "walk_id": string | null;
          "walk_kind": string | null;
          "walk_mode": string | null;
          "walk_newest": string | null;
          "walk_notes": NonNullable<Json>;
          "walk_pages": number;
          "walk_phase": string | null;
          "walk_position": string | null;
          "walk_rows": number;
          "walk_started_at": string | null;
          "whole_after": string | null;
        };
        ComputedFields: never;
        Insert: {
          "agency_id": string;
          "aside_checked_at"?: string | null;
          "consecutive_failures"?: number;
          "full_requested"?: boolean;
          "high_water"?: string | null;
          "id"?: string;
          "last_cursor"?: string | null;
          "last_deep_at"?: string | null;
          "last_error"?: Json | null;
          "last_full_at"?: string | null;
          "last_page_key"?: string | null;
          "last_page_reply"?: Json | null;
          "last_success_at"?: string | null;
          "last_sync_at"?: string | null;
          "member_error"?: never;
          "model_id": string;
          "next_sync_at"?: string | null;
          "quiet_runs"?: number;
          "requested_at"?: string | null;
          "shrink_accepted_at"?: string | null;
          "sync_type": string;
          "validator"?: Json | null;
          "version"?: number;
          "walk_border"?: (string)[];
          "walk_ceiling"?: string | null;
          "walk_changed"?: number;
          "walk_floor"?: string | null;
          "walk_id"?: string | null;
          "walk_kind"?: string | null;
          "walk_mode"?: string | null;
          "walk_newest"?: string | null;
          "walk_notes"?: NonNullable<Json>;
          "walk_pages"?: number;
          "walk_phase"?: string | null;
          "walk_position"?: string | null;
          "walk_rows"?: number;
          "walk_started_at"?: string | null;
          "whole_after"?: string | null;
        };
        Update: {
          "agency_id"?: string;
          "aside_checked_at"?: string | null;
          "consecutive_failures"?: number;
          "full_requested"?: boolean;
          "high_water"?: string | null;
          "id"?: string;
          "last_cursor"?: string | null;
          "last_deep_at"?: string | null;
          "last_error"?: Json | null;
          "last_full_at"?: string | null;
          "last_page_key"?: string | null;
          "last_page_reply"?: Json | null;
          "last_success_at"?: string | null;
          "last_sync_at"?: string | null;
          "member_error"?: never;
          "model_id"?: string;
          "next_sync_at"?: string | null;
          "quiet_runs"?: number;
          "requested_at"?: string | null;
          "shrink_accepted_at"?: string | null;
          "sync_type"?: string;
          "validator"?: Json | null;
          "version"?: number;
          "walk_border"?: (string)[];
          "walk_ceiling"?: string | null;
          "walk_changed"?: number;
          "walk_floor"?: string | null;
          "walk_id"?: string | null;
          "walk_kind"?: string | null;
          "walk_mode"?: string | null;
          "walk_newest"?: string | null;
          "walk_notes"?: NonNullable<Json>;
          "walk_pages"?: number;
          "walk_phase"?: string | null;
          "walk_position"?: string | null;
          "walk_rows"?: number;
          "walk_started_at"?: string | null;
          "whole_after"?: string | null;
        };
        Relationships: [
          {
            foreignKeyName: "sync_state_agency_id_fkey";
            columns: ["agency_id"];
            isOneToOne: false;
            referencedRelation: "agencies";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "sync_state_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: false;
            referencedRelation: "model_overview";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "sync_state_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: false;
            referencedRelation: "models";
            referencedColumns: ["id"];
          },
        ];
      };
      "webhook_events": {
        Row: {
          "agency_id": string | null;
          "applied_at": string | null;
          "attempts": number;
          "creator_uuid": string | null;
          "error": string | null;
          "event_id": string;
          "id": string;
          "model_id": string | null;
          "payload": Json | null;
          "payment_id": string | null;
          "received_at": string;
          "retry_at": string | null;
          "status": string;
          "topic": string;
          "transaction_id": string | null;
        };
        ComputedFields: never;
        Insert: {
          "agency_id"?: string | null;
          "applied_at"?: string | null;
          "attempts"?: number;
          "creator_uuid"?: string | null;
          "error"?: string | null;
          "event_id": string;
          "id"?: string;
          "model_id"?: string | null;
          "payload"?: Json | null;
          "payment_id"?: string | null;
          "received_at"?: string;
          "retry_at"?: string | null;
          "status": string;
          "topic": string;
          "transaction_id"?: string | null;
        };
        Update: {
          "agency_id"?: string | null;
          "applied_at"?: string | null;
          "attempts"?: number;
          "creator_uuid"?: string | null;
          "error"?: string | null;
          "event_id"?: string;
          "id"?: string;
          "model_id"?: string | null;
          "payload"?: Json | null;
          "payment_id"?: string | null;
          "received_at"?: string;
          "retry_at"?: string | null;
          "status"?: string;
          "topic"?: string;
          "transaction_id"?: string | null;
        };
        Relationships: [
          {
            foreignKeyName: "webhook_events_agency_id_fkey";
            columns: ["agency_id"];
            isOneToOne: false;
            referencedRelation: "agencies";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "webhook_events_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: false;
            referencedRelation: "model_overview";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "webhook_events_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: false;
            referencedRelation: "models";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "webhook_events_transaction_id_fkey";
            columns: ["transaction_id"];
            isOneToOne: false;
            referencedRelation: "fanvue_transactions";
            referencedColumns: ["id"];
          },
        ];
      };
    };
    Views: {
      "model_overview": {
        Row: {
          "agency_id": string;
          "connected_at": string | null;
          "connection_id": string | null;
          "display_name": string | null;
          "earnings_synced_at": string | null;
          "fanvue_token_expires_at": string | null;
          "fanvue_user_uuid": string | null;
          "handle": string | null;
          "id": string;
          "is_syncing": boolean | null;
          "newest_earning_at": string | null;
          "reason_code": string | null;
          "revenue_total": number;
          "status": string;
          "status_changed_at": string;
          "status_reason": string | null;
        };
        ComputedFields: never;
        Relationships: [
          {
            foreignKeyName: "models_agency_id_fkey";
            columns: ["agency_id"];
            isOneToOne: false;
            referencedRelation: "agencies";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "models_connection_id_fkey";
            columns: ["connection_id", "agency_id"];
            isOneToOne: false;
            referencedRelation: "agency_connections";
            referencedColumns: ["id", "agency_id"];
          },
        ];
      };
      "sync_health": {
        Row: {
          "agency_id": string;
          "consecutive_failures": number;
          "handle": string | null;
          "health": string | null;
          "high_water": string | null;
          "job_attempt": number | null;
          "job_progress": Json | null;
          "job_run_at": string | null;
          "job_state": string | null;
          "last_error": Json | null;
          "last_success_at": string | null;
          "model_id": string;
          "model_status": string;
          "next_sync_at": string | null;
          "overdue_by": string | null;
          "sync_type": string;
        };
        ComputedFields: never;
        Relationships: [
          {
            foreignKeyName: "sync_state_agency_id_fkey";
            columns: ["agency_id"];
            isOneToOne: false;
            referencedRelation: "agencies";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "sync_state_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: false;
            referencedRelation: "model_overview";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "sync_state_model_id_fkey";
            columns: ["model_id"];
            isOneToOne: false;
            referencedRelation: "models";
            referencedColumns: ["id"];
          },
        ];
      };
    };
    Functions: {
      "accept_invitation": {
        Args: { "p_invitation_id": string };
        Returns: Json;
      };
      "add_member": {
        Args: {
          "p_agency": string;
          "p_create"?: boolean;
          "p_email": string;
          "p_role"?: string;
        };
        Returns: Json;
      };
      "announcements": { Args: { "p_agency_id": string }; Returns: Json };
      "attach_creators": {
        Args: {
          "p_connection_id": string;
          "p_creators": Json;
          "p_replace"?: boolean;
        };
        Returns: Json;
      };
      "begin_connection": {
        Args: {
          "p_agency_id": string;
          "p_as"?: string;
          "p_connection_id"?: string;
          "p_model_id": string;
          "p_return_to": string;
          "p_state_hash": string;
          "p_verifier": string;
        };
        Returns: Json;
      };
      "begin_linked_connection": {
        Args: {
          "p_link_hash": string;
          "p_state_hash": string;
          "p_verifier": string;
        };
        Returns: Json;
      };
      "begin_reconcile": {
        Args: { "p_job_id": number; "p_lease_id": number };
        Returns: Json;
      };
      "begin_sync_walk": {
        Args: { "p_calls"?: Json; "p_job_id": number; "p_lease_id": number };
        Returns: Json;
      };
      "begin_token_refresh": {
        Args: {
          "p_holder": string;
          "p_lease_seconds"?: number;
          "p_model_id": string;
          "p_rejected_version"?: number;
        };
        Returns: Json;
      };
      "begin_webhook_registration": {
        Args: {
          "p_events": (string)[];
          "p_id": string;
          "p_model_id": string;
          "p_url": string;
        };
        Returns: undefined;
      };
      "block_bucket": {
        Args: {
          "p_bucket": string;
          "p_endpoint"?: string;
          "p_seconds": number;
          "p_seen"?: Json;
        };
        Returns: undefined;
      };
      "cancel_sync_job": { Args: { "p_id": number }; Returns: Json };
      "claim_alerts": {
        Args: {
          "p_lease_seconds"?: number;
          "p_limit"?: number;
          "p_worker": string;
        };
        Returns: Json;
      };
      "claim_model_job": {
        Args: {
          "p_claim_id"?: string;
          "p_lease_seconds"?: number;
          "p_model_id": string;
          "p_sync_type": string;
          "p_worker": string;
        };
        Returns: Json;
      };
      "claim_sync_jobs": {
        Args: {
          "p_claim_id"?: string;
          "p_drain"?: boolean;
          "p_lease_seconds"?: number;
          "p_limit": number;
          "p_worker": string;
        };
        Returns: Json;
      };
      "commit_reconcile_page": {
        Args: {
          "p_job_id": number;
          "p_lease_id": number;
          "p_lease_seconds"?: number;
          "p_page": Json;
          "p_version": number;
        };
        Returns: Json;
      };
      "commit_sync_page": {
        Args: {
          "p_job_id": number;
          "p_lease_id": number;
          "p_lease_seconds"?: number;
          "p_page": Json;
          "p_settle"?: Json;
          "p_version": number;
        };
        Returns: Json;
      };
      "confirm_connection": {
        Args: { "p_browser_hash"?: string; "p_nonce_hash": string };
        Returns: Json;
      };
      "confirm_linked_connection": {
        Args: { "p_browser_hash"?: string; "p_nonce_hash": string };
        Returns: Json;
      };
      "confirmed_connection": {
        Args: { "p_nonce_hash": string };
        Returns: Json;
      };
      "connect_agency": {
        Args: {
          "p_agency": string;
          "p_fingerprint"?: string;
          "p_user_uuid": string;
        };
        Returns: Json;
      };
      "connect_model": {
        Args: {
          "p_agency": string;
          "p_creator_uuid": string;
          "p_handle"?: string;
          "p_model_id"?: string;
          "p_replace"?: boolean;
        };
        Returns: Json;
      };
      "create_connect_link": {
        Args: {
          "p_agency_id": string;
          "p_hours"?: number;
          "p_label"?: string;
          "p_model_id"?: string;
        };
        Returns: Json;
      };
      "dashboard_stats": {
        Args: { "p_agency_id": string; "p_from": string; "p_to": string };
        Returns: Json;
      };
      "decline_connection": {
        Args: { "p_browser_hash": string; "p_nonce_hash": string };
        Returns: Json;
      };
      "disconnect_account": {
        Args: { "p_connection_id": string };
        Returns: Json;
      };
      "disconnect_creator": { Args: { "p_model_id": string }; Returns: Json };
      "drop_member": {
        Args: { "p_agency": string; "p_member": string };
        Returns: Json;
      };
      "engine_attention": { Args: Record<PropertyKey, never>; Returns: Json };
      "engine_doctor": { Args: Record<PropertyKey, never>; Returns: Json };
      "engine_gauges": { Args: Record<PropertyKey, never>; Returns: Json };
      "engine_status": { Args: Record<PropertyKey, never>; Returns: Json };
      "enqueue_due": {
        Args: { "p_by"?: string; "p_limit"?: number };
        Returns: Json;
      };
      "enqueue_reconcile": {
        Args: {
          "p_days"?: number;
          "p_model_id"?: string;
          "p_priority"?: number;
        };
        Returns: Json;
      };
      "enqueue_sync": {
        Args: {
          "p_full"?: boolean;
          "p_model_id": string;
          "p_priority"?: number;
          "p_sync_type": string;
        };
        Returns: Json;
      };
      "fail_token_refresh": {
        Args: {
          "p_fence": number;
          "p_grant_id": string;
          "p_kind": string;
          "p_message": string;
          "p_retry_after_s"?: number;
          "p_version": number;
        };
        Returns: Json;
      };
      "find_model": { Args: { "p_who": string }; Returns: Json };
      "finish_reconcile": {
        Args: {
          "p_job_id": number;
          "p_lease_id": number;
          "p_verdict": Json;
          "p_version": number;
        };
        Returns: Json;
      };
      "finish_token_refresh": {
        Args: {
          "p_access_token": string;
          "p_expires_in_s"?: number;
          "p_fence": number;
          "p_grant_id": string;
          "p_refresh_token": string;
          "p_version": number;
        };
        Returns: Json;
      };
      "finish_webhook_registration": {
        Args: {
          "p_events": (string)[];
          "p_fanvue_id": string;
          "p_id": string;
          "p_secret": string;
        };
        Returns: undefined;
      };
      "heartbeat_sync_jobs": {
        Args: {
          "p_jobs": Json;
          "p_lease_seconds"?: number;
          "p_worker": string;
        };
        Returns: Json;
      };
      "hold_connection": {
        Args: {
          "p_browser_hash": string;
          "p_held": Json;
          "p_nonce_hash": string;
          "p_state_hash": string;
        };
        Returns: undefined;
      };
      "invite_member": {
        Args: { "p_agency_id": string; "p_email": string; "p_role"?: string };
        Returns: Json;
      };
      "list_creators": { Args: Record<PropertyKey, never>; Returns: Json };
      "list_grants": {
        Args: { "p_after"?: string; "p_limit"?: number };
        Returns: Json;
      };
      "list_jobs": {
        Args: { "p_limit"?: number; "p_state"?: string };
        Returns: Json;
      };
      "list_members": { Args: { "p_agency": string }; Returns: Json };
      "list_streams": { Args: { "p_limit"?: number }; Returns: Json };
      "list_troubles": { Args: { "p_limit"?: number }; Returns: Json };
      "list_webhook_subscriptions": {
        Args: Record<PropertyKey, never>;
        Returns: Json;
      };
      "make_connect_link": {
        Args: {
          "p_agency": string;
          "p_hours"?: number;
          "p_label"?: string;
          "p_model_id"?: string;
        };
        Returns: Json;
      };
      "members_of": { Args: { "p_agency_id": string }; Returns: Json };
      "my_invitations": { Args: Record<PropertyKey, never>; Returns: Json };
      "prune_history": { Args: { "p_batch"?: number }; Returns: Json };
      "reap_expired_leases": { Args: { "p_limit"?: number }; Returns: Json };
      "receive_webhook_event": {
        Args: {
          "p_apply"?: boolean;
          "p_hint_topic"?: string;
          "p_payload": Json;
          "p_vouched_for"?: string;
        };
        Returns: Json;
      };
      "reconcile_report": {
        Args: {
          "p_limit"?: number;
          "p_model_ids": (string)[];
          "p_run_ids": (string)[];
        };
        Returns: Json;
      };
      "reconcile_sums": {
        Args: {
          "p_from": string;
          "p_job_id": number;
          "p_lease_id": number;
          "p_until": string;
        };
        Returns: Json;
      };
      "remove_member": {
        Args: { "p_agency_id": string; "p_user_id": string };
        Returns: Json;
      };
      "request_sync": {
        Args: { "p_model_id": string; "p_sync_type": string };
        Returns: Json;
      };
      "reseal_webhook_secret": {
        Args: { "p_from": string; "p_id": string; "p_to": string };
        Returns: boolean;
      };
      "retire_webhook_subscription": {
        Args: { "p_expect_none"?: boolean; "p_id": string };
        Returns: undefined;
      };
      "retry_sync_job": { Args: { "p_id": number }; Returns: Json };
      "retry_webhook_events": { Args: { "p_limit"?: number }; Returns: Json };
      "revoke_connect_link": { Args: { "p_link_id": string }; Returns: Json };
      "revoke_invitation": {
        Args: { "p_invitation_id": string };
        Returns: Json;
      };
      "sale_totals": { Args: { "p_model_id": string }; Returns: Json };
      "seal_tokens": {
        Args: {
          "p_access_from": string;
          "p_access_to": string;
          "p_grant_id": string;
          "p_refresh_from": string;
          "p_refresh_to": string;
        };
        Returns: boolean;
      };
      "set_member_role": {
        Args: { "p_agency_id": string; "p_role": string; "p_user_id": string };
        Returns: Json;
      };
      "settle_alerts": {
        Args: { "p_items": Json; "p_sent": boolean; "p_worker": string };
        Returns: number;
      };
      "settle_sync_jobs": {
        Args: { "p_items": Json; "p_worker": string };
        Returns: Json;
      };
      "stats_head": { Args: { "p_agency_id": string }; Returns: Json };
      "store_connection": {
        Args: {
          "p_access_token": string;
          "p_connection_id": string;
          "p_expires_in_s": number;
          "p_fingerprint": string;
          "p_handle"?: string;
          "p_nonce_hash"?: string;
          "p_refresh_token": string;
          "p_version": number;
        };
        Returns: Json;
      };
      "store_grant": {
        Args: {
          "p_access_token": string;
          "p_expires_in_s"?: number;
          "p_model_id": string;
          "p_nonce_hash"?: string;
          "p_refresh_token": string;
          "p_version": number;
        };
        Returns: Json;
      };
      "take_calls": {
        Args: {
          "p_bucket": string;
          "p_endpoint"?: string;
          "p_lane"?: string;
          "p_seen"?: Json;
          "p_want": number;
        };
        Returns: Json;
      };
      "take_connection": { Args: { "p_state_hash": string }; Returns: Json };
      "take_webhook_test": {
        Args: { "p_id": string; "p_subscription_id"?: string };
        Returns: boolean;
      };
      "try_connecting": {
        Args: {
          "p_account_uuid": string;
          "p_agency": string;
          "p_fingerprint"?: string;
          "p_kind": string;
          "p_replace"?: boolean;
        };
        Returns: Json;
      };
      "webhook_gate": {
        Args: {
          "p_creator"?: string;
          "p_refused"?: Json;
          "p_unopened"?: (string)[];
        };
        Returns: Json;
      };
    };
    Enums: {
      [_ in never]: never;
    };
    CompositeTypes: {
      [_ in never]: never;
    };
  };
};

type DatabaseWithoutInternals = Omit<Database, "__InternalSupabase">;

type DefaultSchema =
  DatabaseWithoutInternals[Extract<keyof Database, "public">];

export type Tables<
  DefaultSchemaTableNameOrOptions extends
    | keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof (
      & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]][
        "Tables"
      ]
      & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]][
        "Views"
      ]
    )
    : never = never,
> = DefaultSchemaTableNameOrOptions extends
  { schema: keyof DatabaseWithoutInternals } ? (
    & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]][
      "Tables"
    ]
    & DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]][
      "Views"
    ]
  )[TableName] extends {
    Row: infer R;
  } ? R
  : never
  : DefaultSchemaTableNameOrOptions extends
    keyof (DefaultSchema["Tables"] & DefaultSchema["Views"])
    ? (DefaultSchema["Tables"] & DefaultSchema["Views"])[
      DefaultSchemaTableNameOrOptions
    ] extends {
      Row: infer R;
    } ? R
    : never
  : never;

export type TablesInsert<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]][
      "Tables"
    ]
    : never = never,
> = DefaultSchemaTableNameOrOptions extends
  { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]][
    "Tables"
  ][TableName] extends {
    Insert: infer I;
  } ? I
  : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
    ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
      Insert: infer I;
    } ? I
    : never
  : never;

export type TablesUpdate<
  DefaultSchemaTableNameOrOptions extends
    | keyof DefaultSchema["Tables"]
    | { schema: keyof DatabaseWithoutInternals },
  TableName extends DefaultSchemaTableNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]][
      "Tables"
    ]
    : never = never,
> = DefaultSchemaTableNameOrOptions extends
  { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaTableNameOrOptions["schema"]][
    "Tables"
  ][TableName] extends {
    Update: infer U;
  } ? U
  : never
  : DefaultSchemaTableNameOrOptions extends keyof DefaultSchema["Tables"]
    ? DefaultSchema["Tables"][DefaultSchemaTableNameOrOptions] extends {
      Update: infer U;
    } ? U
    : never
  : never;

export type Enums<
  DefaultSchemaEnumNameOrOptions extends
    | keyof DefaultSchema["Enums"]
    | { schema: keyof DatabaseWithoutInternals },
  EnumName extends DefaultSchemaEnumNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]][
      "Enums"
    ]
    : never = never,
> = DefaultSchemaEnumNameOrOptions extends
  { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[DefaultSchemaEnumNameOrOptions["schema"]]["Enums"][
    EnumName
  ]
  : DefaultSchemaEnumNameOrOptions extends keyof DefaultSchema["Enums"]
    ? DefaultSchema["Enums"][DefaultSchemaEnumNameOrOptions]
  : never;

export type CompositeTypes<
  PublicCompositeTypeNameOrOptions extends
    | keyof DefaultSchema["CompositeTypes"]
    | { schema: keyof DatabaseWithoutInternals },
  CompositeTypeName extends PublicCompositeTypeNameOrOptions extends {
    schema: keyof DatabaseWithoutInternals;
  } ? keyof DatabaseWithoutInternals[
      PublicCompositeTypeNameOrOptions["schema"]
    ]["CompositeTypes"]
    : never = never,
> = PublicCompositeTypeNameOrOptions extends
  { schema: keyof DatabaseWithoutInternals }
  ? DatabaseWithoutInternals[PublicCompositeTypeNameOrOptions["schema"]][
    "CompositeTypes"
  ][CompositeTypeName]
  : PublicCompositeTypeNameOrOptions extends
    keyof DefaultSchema["CompositeTypes"]
    ? DefaultSchema["CompositeTypes"][PublicCompositeTypeNameOrOptions]
  : never;

export const Constants = {
  "public": {
    Enums: {},
  },
} as const;
