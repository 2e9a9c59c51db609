"use client";

import { useEffect, useState, useSyncExternalStore } from "react";
import { AgencyData } from "./agency_data";
import type { Connection } from "./live_channel";
import type { Client } from "./project_client";

/** Returns an agency's data, live while the component is on screen; null for one moment. */
export function useAgencyData(client: Client, agencyId: string): AgencyData | null {
  const [data, setData] = useState<AgencyData | null>(null);
  useEffect(() => {
    const opened = new AgencyData(client, agencyId);
    opened.open();
    setData(opened);
    return () => {
      opened.close();
      setData(null);
    };
  }, [client, agencyId]);
  return data;
}

export function useConnection(data: AgencyData): Connection {
  return useSyncExternalStore(data.subscribeConnection, data.readConnection, data.readConnection);
}
