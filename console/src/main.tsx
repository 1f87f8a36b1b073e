import { start as startTheme } from "./ui/theme";
import { startLanguage } from "./words/language";
import "./styles.css";

startTheme();
// Whatever has texts is loaded after its language.
void startLanguage()
  .then(() => import("./app/start"))
  .then(({ start }) => start());
