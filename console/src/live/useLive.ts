/** The live feed for components. */

import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { feed, type Link, type LiveMessage } from "./feed";

/** Every message, as long as the component is there; `listener` may change. */
export function useMessages(listener: (message: LiveMessage) => void): void {
  const newest = useRef(listener);
  useEffect(() => {
    newest.current = listener;
  });
  useEffect(() => feed.listen((message) => newest.current(message)), []);
}

/** The newest message, or null before the first. */
export function useLive(): LiveMessage | null {
  const [message, setMessage] = useState<LiveMessage | null>(feed.newest);
  useMessages(setMessage);
  return message;
}

/** Whether the feed is connected. */
export function useLink(): Link {
  return useSyncExternalStore(feed.watchLink, () => feed.link);
}
