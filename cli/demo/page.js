/*
 * The page of the demonstration: one feed, read in four ways.
 *
 * Each pane asks for what is behind the last entry that it has shown, so that it misses nothing
 * when it has to connect anew. What users wrote becomes text and never markup.
 */
"use strict";

const RETRY_MS = 1000, POLL_MS = 2000, SHOWN_MAX = 200;

function sleep(milliseconds) {
    return new Promise((done) => setTimeout(done, milliseconds));
}

class Pane {
    constructor(id) {
        this.section = document.getElementById(id);
        this.list = this.section.querySelector("ol");
        this.last = 0;
    }

    turn(on) {
        this.section.classList.toggle("on", on);
    }

    message(entry) {
        const item = document.createElement("li");
        const name = document.createElement("b");
        name.textContent = entry.name;
        item.append(name, ": ", entry.text);
        this.list.append(item);
        if (this.list.children.length > SHOWN_MAX)
            this.list.firstChild.remove();
        this.list.scrollTop = this.list.scrollHeight;
    }

    show(entry) {
        if (entry.type === "message")
            this.message(entry);
        else if (entry.type === "users" && this.section.id === "websocket")
            document.getElementById("users").textContent = entry.count;
        this.last = entry.id;
    }
}

function address(path, pane) {
    return path + "?after=" + pane.last;
}

let socket = null;

function openSocket(pane) {
    const url = new URL(address("socket", pane), location.href);
    url.protocol = url.protocol.replace("http", "ws");
    socket = new WebSocket(url);
    socket.onopen = () => pane.turn(true);
    socket.onmessage = (event) => {
        const entry = JSON.parse(event.data);
        if (entry.type === "trouble")
            trouble(entry.text);
        else
            pane.show(entry);
    };
    socket.onclose = () => {
        pane.turn(false);
        setTimeout(openSocket, RETRY_MS, pane);
    };
}

/* The browser connects anew by itself, unless it was answered with an error. */
function openEvents(pane) {
    const source = new EventSource(address("events", pane));
    source.onopen = () => pane.turn(true);
    source.onmessage = (event) => pane.show(JSON.parse(event.data));
    source.onerror = () => {
        pane.turn(false);
        if (source.readyState === EventSource.CLOSED)
            setTimeout(openEvents, RETRY_MS, pane);
    };
}

async function poll(pane, path, pause) {
    for (;;) {
        try {
            const answer = await fetch(address(path, pane));
            if (!answer.ok)
                throw new Error(answer.statusText);
            const news = await answer.json();
            news.entries.forEach((entry) => pane.show(entry));
            pane.last = news.last;
            pane.turn(true);
            await sleep(pause);
        } catch (error) {
            pane.turn(false);
            await sleep(RETRY_MS);
        }
    }
}

function trouble(words) {
    document.getElementById("trouble").textContent = words;
}

async function say(name, text) {
    if (socket.readyState === WebSocket.OPEN) {
        socket.send(name + "\n" + text);
        return;
    }
    const answer = await fetch("messages?name=" + encodeURIComponent(name),
        {method: "POST", body: text});
    if (!answer.ok)
        throw new Error(await answer.text());
}

document.getElementById("form").addEventListener("submit", (event) => {
    const text = document.getElementById("text");
    event.preventDefault();
    trouble("");
    say(document.getElementById("name").value, text.value)
        .then(() => { text.value = ""; }, (error) => trouble(error.message));
});

openSocket(new Pane("websocket"));
openEvents(new Pane("events"));
poll(new Pane("waiting"), "messages/wait", 0);
poll(new Pane("polling"), "messages", POLL_MS);
