"use strict";

const TEXTS = {
  es: {
    title: "Simulador de Kommo", chats: "Chats", name: "Nombre", channel: "Canal", newChat: "Chat nuevo",
    noChat: "Elegí un chat o empezá uno", message: "Mensaje", send: "Enviar como cliente", voice: "Nota de voz",
    picture: "Foto", colleague: "Escribir como el equipo", close: "Cerrar conversación", language: "English",
    account: "cuenta", open: "abierta", closed: "cerrada", talk: "conversación", client: "cliente",
    bot: "bot", internal: "equipo", external: "cliente", empty: "Escribí un mensaje primero.",
    failed: "El simulador no responde.", refused: "El simulador no aceptó eso.",
    phone: "Escribir desde el teléfono", reopen: "Reabrir conversación", enable: "Volver a activar",
    disabled: "Kommo desactivó los webhooks: la integración no se entera de nada.",
    noAddon: "El plan no incluye el envío por API.", quotaUsed: "El cupo de mensajes del mes está agotado.",
    sent: "enviado", delivered: "entregado", read: "leído", error: "no entregado",
    voice_message: "🎤 nota de voz", picture_message: "🖼️ foto", file_message: "📎 archivo",
    audio_message: "🎵 audio", video_message: "🎬 video", sticker_message: "sticker",
    location_message: "📍 ubicación", contact_message: "👤 contacto",
  },
  en: {
    title: "Kommo Simulator", chats: "Chats", name: "Name", channel: "Channel", newChat: "New chat",
    noChat: "Choose a chat or start one", message: "Message", send: "Send as the client", voice: "Voice note",
    picture: "Picture", colleague: "Write as the team", close: "Close the talk", language: "Español",
    account: "account", open: "open", closed: "closed", talk: "talk", client: "client",
    bot: "bot", internal: "team", external: "client", empty: "Write a message first.",
    failed: "The simulator does not answer.", refused: "The simulator did not accept that.",
    phone: "Write from the phone", reopen: "Reopen the talk", enable: "Enable again",
    disabled: "Kommo has disabled the webhooks: the integration hears of nothing.",
    noAddon: "The plan lacks sending by API.", quotaUsed: "The message quota of the month is used up.",
    sent: "sent", delivered: "delivered", read: "read", error: "not delivered",
    voice_message: "🎤 voice note", picture_message: "🖼️ picture", file_message: "📎 file",
    audio_message: "🎵 audio", video_message: "🎬 video", sticker_message: "sticker",
    location_message: "📍 location", contact_message: "👤 contact",
  },
};
const POLL_MILLISECONDS = 1000;
const state = { language: localStorage.getItem("language") === "en" ? "en" : "es", chat: null, draft: null, shown: "" };
const element = (id) => document.getElementById(id);
const text = (key) => TEXTS[state.language][key] ?? key;

async function call(path, body, method = "POST") {
  const options = body === undefined ? {} :
    { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    complain("failed");
    return null;
  }
  // Polling must not wipe out what an action complained of.
  if (body !== undefined || state.problem === "failed") complain(answer.ok ? "" : "refused");
  return answer.ok && answer.status !== 204 ? answer.json() : null;
}

function complain(key) {
  state.problem = key;
  element("problem").textContent = key && text(key);
}

function translate() {
  document.documentElement.lang = state.language;
  document.title = text("title");
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = text(node.dataset.text);
  element("language").textContent = text("language");
  element("language").lang = state.language === "es" ? "en" : "es";
  state.shown = "";
}

function chatButton(chat) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const facts = document.createElement("small");
  button.type = "button";
  button.textContent = chat.name;
  button.setAttribute("aria-current", String(state.chat === chat.chat_id));
  facts.textContent = `${chat.origin} · ${text(chat.is_in_work ? "open" : "closed")} · ${chat.messages}`;
  button.append(facts);
  button.addEventListener("click", () => choose(chat.chat_id));
  item.append(button);
  return item;
}

function messageItem(message) {
  const item = document.createElement("li");
  item.dataset.id = message.id;
  item.append(document.createElement("span"), document.createElement("small"));
  return item;
}

const PLAYERS = { picture: "img", sticker: "img", voice: "audio", audio: "audio", video: "video" };

// A file may come after its message, and once drawn it stays.
function drawFile(item, message) {
  if (!message.media_path || item.querySelector("[data-file]")) return;
  const kind = PLAYERS[message.message_type] ?? "a";
  const node = document.createElement(kind);
  node.dataset.file = "";
  if (kind === "a") {
    node.href = message.media_path;
    node.target = "_blank";
    node.rel = "noopener";
    node.textContent = message.attachment.file_name;
  } else {
    node.src = message.media_path;
    if (kind === "img") node.alt = message.attachment.file_name;
    else { node.controls = true; node.preload = "none"; }
  }
  item.prepend(node);
}

function fillMessage(item, message) {
  const words = item.querySelector("span");
  const facts = item.querySelector("small");
  const media = message.message_type === "text" ? "" : text(`${message.message_type}_message`);
  drawFile(item, message);
  const time = new Date(message.created_at * 1000).toLocaleTimeString(state.language);
  const status = message.delivery_status ? ` · ${text(message.delivery_status)}` : "";
  item.className = `${message.type} ${message.author_type}`;
  setText(words, [media, message.text].filter(Boolean).join("\n"));
  setText(facts, `${text(message.author_type)} · ${message.author_name} · ${time}${status}`);
}

function setText(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

// Items stay where they are, so that a screen reader announces new messages only.
function redraw(log, messages) {
  state.atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const known = new Map([...log.children].map((item) => [item.dataset.id, item]));
  messages.forEach((message, index) => {
    const item = known.get(message.id) ?? messageItem(message);
    if (log.children[index] !== item) log.insertBefore(item, log.children[index] ?? null);
    fillMessage(item, message);
  });
  keepAtEnd();
}

function keepAtEnd() {
  const log = element("messages");
  if (state.atEnd) log.scrollTop = log.scrollHeight;
}

async function showChats() {
  const answer = await call("/control/chats");
  if (!answer) return;
  const drawn = JSON.stringify([answer, state.chat, state.language]);
  if (drawn === state.shown) return;
  state.shown = drawn;
  const focused = [...element("chats").querySelectorAll("button")].indexOf(document.activeElement);
  element("chats").replaceChildren(...answer.chats.slice(0, 200).map(chatButton));
  if (focused >= 0) element("chats").querySelectorAll("button")[focused]?.focus();
}

async function showMessages() {
  const asked = state.chat;
  for (const id of ["close", "colleague", "phone"]) element(id).disabled = asked === null;
  if (asked === null) {
    element("chat-heading").textContent = state.draft ? state.draft.name : text("noChat");
    element("chat-facts").textContent = state.draft ? state.draft.origin : "";
    element("messages").replaceChildren();
    return;
  }
  const answer = await call(`/control/chats/${encodeURIComponent(asked)}/messages`);
  if (!answer || asked !== state.chat) return;
  const { chat, messages } = answer;
  state.talk = chat.talk_id;
  state.isOpen = chat.is_in_work;
  setText(element("close"), text(chat.is_in_work ? "close" : "reopen"));
  element("phone").disabled = chat.origin === state.ownOrigin;
  element("chat-heading").textContent = chat.name;
  element("chat-facts").textContent =
    `${chat.origin} · ${text("talk")} ${chat.talk_id} (${text(chat.is_in_work ? "open" : "closed")}) · ${chat.chat_id}`;
  redraw(element("messages"), messages);
}

async function showWarning() {
  const status = await call("/control/status");
  if (!status) return;
  state.ownOrigin = status.own_origin;
  const { limit, used } = status.quota;
  const warnings = [
    status.disabled_subscriptions ? text("disabled") : "",
    status.plan_has_addon ? "" : text("noAddon"),
    limit && used >= limit ? text("quotaUsed") : "",
  ].filter(Boolean);
  element("warning").hidden = warnings.length === 0;
  element("enable").hidden = !status.disabled_subscriptions;
  setText(element("warning").firstElementChild, warnings.join(" "));
  setText(element("account"), `${text("account")} ${status.account_id} · ${status.subdomain}`);
}

async function refresh() {
  await showWarning();
  await showChats();
  await showMessages();
}

async function choose(chatId) {
  state.chat = chatId;
  state.draft = null;
  element("messages").replaceChildren();
  await refresh();
  element("text").focus();
}

async function writeAsClient(extra) {
  const where = state.chat ? { chat_id: state.chat } : state.draft ??
    { name: element("name").value, origin: element("origin").value };
  const answer = await call("/control/client-messages", { text: element("text").value.trim(), ...where, ...extra });
  if (!answer) return;
  element("text").value = "";
  if (answer.chat_id === state.chat) await refresh();
  else await choose(answer.chat_id);
}

function requireText() {
  const written = element("text").value.trim() !== "";
  complain(written ? "" : "empty");
  if (!written) element("text").focus();
  return written;
}

// Pictures take their room only once they are loaded; load events do not bubble.
element("messages").addEventListener("load", keepAtEnd, true);
element("new-chat").addEventListener("submit", (event) => {
  event.preventDefault();
  state.chat = null;
  state.draft = { name: element("name").value, origin: element("origin").value };
  refresh();
  element("text").focus();
});
element("write").addEventListener("submit", (event) => {
  event.preventDefault();
  if (requireText()) writeAsClient({});
});
element("text").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  element("write").requestSubmit();
});
element("voice").addEventListener("click", () => writeAsClient({ text: "", message_type: "voice" }));
element("picture").addEventListener("click", () => writeAsClient({ message_type: "picture" }));
async function writeAsCompany(device) {
  if (!requireText()) return;
  const line = { chat_id: state.chat, text: element("text").value.trim(), device };
  if (await call("/control/colleague-messages", line)) element("text").value = "";
  await refresh();
}

element("colleague").addEventListener("click", () => writeAsCompany("inbox"));
element("phone").addEventListener("click", () => writeAsCompany("phone"));
element("close").addEventListener("click", async () => {
  if (state.isOpen) await call(`/control/talks/${state.talk}/close`, {});
  else await call(`/control/chats/${encodeURIComponent(state.chat)}/reopen`, {});
  await refresh();
});
element("enable").addEventListener("click", async () => {
  await call("/control/subscriptions", { disabled: false }, "PATCH");
  await refresh();
});
element("language").addEventListener("click", () => {
  state.language = state.language === "es" ? "en" : "es";
  localStorage.setItem("language", state.language);
  translate();
  refresh();
});

async function poll() {
  if (!document.hidden) await refresh();
  setTimeout(poll, POLL_MILLISECONDS);
}

translate();
refresh().then(() => setTimeout(poll, POLL_MILLISECONDS));
