/** Short words about what was just done, which go away by themselves. Failures stay where they happened instead. */
import { Toast } from "radix-ui";
import { createContext, type ReactNode, useCallback, useContext, useState } from "react";

interface Word { id: number; text: string }
const Say = createContext<(text: string) => void>(() => undefined);
export const useSay = (): ((text: string) => void) => useContext(Say);

/** More at once are not read. */
const SHOWN_MAX = 3;

export function Toasts({ children }: { children: ReactNode }) {
  const [words, setWords] = useState<Word[]>([]);
  const say = useCallback((text: string) => {
    setWords((before) => [...before, { id: (before.at(-1)?.id ?? 0) + 1, text }].slice(-SHOWN_MAX));
  }, []);
  return (
    <Say.Provider value={say}>
      <Toast.Provider duration={4000} label="Notice">
        {children}
        {words.map((word) => (
          <Toast.Root
            key={word.id}
            className="toast"
            onOpenChange={(open) => {
              if (!open) setWords((before) => before.filter((one) => one.id !== word.id));
            }}
          >
            <Toast.Description>{word.text}</Toast.Description>
          </Toast.Root>
        ))}
        <Toast.Viewport className="toasts" />
      </Toast.Provider>
    </Say.Provider>
  );
}
