import { Upload } from "lucide-react";
import { buttonLook } from "./Button";

interface Props {
  name: string;
  /** Endings and media types, as an input has them. */
  accept: string;
  onChoose: (file: File) => void;
}

/** A button that asks for a file; the same file may be chosen twice. */
export function FileButton({ name, accept, onChoose }: Props) {
  return (
    <label className={buttonLook("plain", "has-focus-visible:outline-2 has-focus-visible:outline-accent")}>
      <Upload aria-hidden size={15} /> {name}
      <input
        type="file"
        accept={accept}
        className="sr-only"
        onChange={(event) => {
          const file = event.target.files?.[0];
          event.target.value = "";
          if (file) onChoose(file);
        }}
      />
    </label>
  );
}
