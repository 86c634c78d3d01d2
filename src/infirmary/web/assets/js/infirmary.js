// The one script of every page. Behaviour hangs on data attributes, so that parts swapped in by htmx need no set-up.
import "./requests.js";
import "./appearance.js";
import "./clock.js";
import "./dialogs.js";
import "./forms.js";
import "./hold.js";
import "./keyboard.js";
import "./large.js";
import "./live.js";
import "./paper.js";
import "./passkeys.js";
import "./toasts.js";
import "./view.js";
import "./wall.js";
