// gemlet chat: a loop over lines. A line is a command (it begins with /), the result of a call the
// model has made, or a message.
#include <array>
#include <cstdio>
#include <optional>
#include <string>

#include "frontends/cli/answer_printer.h"
#include "frontends/cli/attachments.h"
#include "frontends/cli/commands.h"
#include "frontends/cli/conversation.h"
#include "frontends/cli/interrupt.h"
#include "frontends/cli/line_editor.h"
#include "frontends/cli/message_log.h"
#include "frontends/cli/streams.h"

namespace gemlet {
namespace {

struct Chat {
    const Options& options;
    Conversation& conversation;
    MessageLog log;
    bool think;
    Attachments attached = {};  // to the next message
    bool done = false;
    Output out = {};

    void answer();
    void take_line(const std::string& line);
    void take_command(std::string_view name, const std::string& argument);
};

/// For the person, not part of the conversation: beside the answers.
void say(const std::string& text) { std::fprintf(stderr, "%s\n", text.c_str()); }

/// A fault, with the file it is about unless it names that itself.
void say(const Status& status, const std::string& file = {}) {
    const std::string message = status.message();
    const bool names_file = file.empty() || message.find(file) != std::string::npos;
    say("gemlet: " + (names_file ? "" : file + ": ") + message);
}

void Chat::answer() {
    const bool shows_thoughts = options.show_thoughts || output_is_terminal();
    AnswerPrinter printer(out, shows_thoughts ? Thoughts::to_output : Thoughts::to_errors);
    const auto show = [&](const chat::ResponseDelta& delta) {
        printer.take(delta);
        if (out.closed()) Conversation::stop();
    };
    const Result<Answer> answer = conversation.answer(log.messages(), think, show);
    printer.finish();
    done = done || out.closed();
    if (!answer) {
        say(answer.error(), conversation.fault_file());
        say("(the last message was not taken; /reset starts again)");
        log.drop_last();
        return;
    }
    const chat::ParsedResponse& response = answer->response;
    if (response.content.empty() && response.tool_calls.empty() &&
        answer->end == AnswerEnd::cancelled) {
        say("(stopped; the last message was not taken)");
        log.drop_last();
        return;
    }
    log.add_answer(response);
    if (answer->end == AnswerEnd::cancelled) say("(stopped)");
    if (answer->end == AnswerEnd::max_tokens) say("(cut at --max-tokens)");
    if (answer->end == AnswerEnd::context_full) say("(the context is full; /reset starts again)");
}

void help(Chat& /*chat*/, const std::string& /*argument*/);

void toggle_thinking(Chat& chat, const std::string& /*argument*/) {
    chat.think = !chat.think;
    say(chat.think ? "(thinking is on)" : "(thinking is off)");
}

/// Attaches files to the next message. They are encoded at once: what is wrong with one is said
/// before the message is written.
template <chat::MediaKind kind>
void attach(Chat& chat, const std::string& argument) {
    const std::vector<std::string> paths = split_paths(argument);
    if (paths.empty()) say("which file?");
    for (const std::string& path : paths) {
        const Result<MediaSource> source = chat.attached.add(kind, path);
        if (!source) {
            say(source.error(), path);
            continue;
        }
        const Result<SharedSoftTokens> soft = chat.conversation.encode(*source);
        if (!soft) {
            chat.attached.drop_last();
            say(soft.error(), chat.conversation.fault_file());
            continue;
        }
        say("(" + path + ": " + std::to_string((*soft)->n * (*soft)->n_frames()) +
            " tokens, for the next message)");
    }
}

void save(Chat& chat, const std::string& path) {
    if (path.empty()) return say("/save needs a file name");
    const Status status = chat.log.save(path);
    if (!status.ok()) return say(status);
    say("(saved)");
}

void load(Chat& chat, const std::string& path) {
    if (path.empty()) return say("/load needs a file name");
    MessageLog loaded = chat.log;
    const Status status = loaded.load(path);
    if (!status.ok()) return say(status);
    const Result<std::vector<MediaSource>> sources = media_of_messages(loaded.messages());
    if (!sources) return say(sources.error());
    for (const MediaSource& source : *sources) {
        const Result<SharedSoftTokens> soft = chat.conversation.encode(source);
        if (!soft) return say(soft.error(), chat.conversation.fault_file());
    }
    chat.log = std::move(loaded);
    say("(loaded " + std::to_string(chat.log.messages().items.size()) + " messages)");
}

void reset(Chat& chat, const std::string& /*argument*/) {
    chat.log.clear();
    chat.attached.clear();
    say("(a new conversation)");
}

void leave(Chat& chat, const std::string& /*argument*/) { chat.done = true; }

struct ChatCommand {
    std::string_view name;
    const char* help;
    void (*run)(Chat& chat, const std::string& argument);
};

constexpr std::array kChatCommands = {
    ChatCommand{"/image", "/image FILE  attach a picture to the next message, or several",
                attach<chat::MediaKind::image>},
    ChatCommand{"/video", "/video FILE  attach a video", attach<chat::MediaKind::video>},
    ChatCommand{"/audio", "/audio FILE  attach a sound of at most 30 seconds",
                attach<chat::MediaKind::audio>},
    ChatCommand{"/think", "/think       turn thinking before answers on or off", toggle_thinking},
    ChatCommand{"/save", "/save FILE   write the conversation as JSON messages", save},
    ChatCommand{"/load", "/load FILE   go on with a conversation from such a file", load},
    ChatCommand{"/reset", "/reset       begin a new conversation", reset},
    ChatCommand{"/help", "/help        this list", help},
    ChatCommand{"/exit", "/exit        leave (so does Ctrl-D)", leave},
};

void help(Chat& /*chat*/, const std::string& /*argument*/) {
    for (const ChatCommand& command : kChatCommands) say(command.help);
    say("A \\ at the end of a line continues the message on the next. Ctrl-C stops an answer.");
}

void Chat::take_command(std::string_view name, const std::string& argument) {
    for (const ChatCommand& command : kChatCommands) {
        if (command.name == name) return command.run(*this, argument);
    }
    say("unknown command " + std::string(name) +
        "; /help lists them (a message may begin with a blank)");
}

void Chat::take_line(const std::string& line) {
    constexpr std::string_view kSpace = " \t\r\n";
    const size_t last = line.find_last_not_of(kSpace);
    if (last == std::string::npos) return;
    if (line.front() == '/') {
        const size_t end = std::min(line.find_first_of(kSpace), last + 1);
        const size_t argument = line.find_first_not_of(kSpace, end);
        take_command(std::string_view(line).substr(0, end),
                     argument < last + 1 ? line.substr(argument, last + 1 - argument) : "");
        return;
    }
    if (log.pending_call()) {
        log.add_result(line);
        if (log.pending_call()) return;
    } else {
        log.add_user(line, attached.parts());
        attached.clear();
    }
    answer();
}

/// Reads a message: lines joined where they end in a backslash.
LineEnd read_message(LineEditor& editor, const std::string& prompt, std::string& message) {
    message.clear();
    std::string line;
    LineEnd end = editor.read(prompt, line);
    while (end == LineEnd::line && !line.empty() && line.back() == '\\') {
        line.back() = '\n';
        message += line;
        end = editor.read("... ", line);
    }
    if (end == LineEnd::line) message += line;
    if (end == LineEnd::end_of_input && !message.empty()) return LineEnd::line;
    return end;
}

/// What stands before the line to be typed.
std::string line_prompt(const Chat& chat) {
    if (const auto call = chat.log.pending_call()) return "result of " + *call + "> ";
    return chat.attached.empty() ? "> " : "(" + chat.attached.summary() + ") > ";
}

}  // namespace

Failure chat_command(const Options& options) {
    Failure failure;
    const std::unique_ptr<Conversation> conversation = Conversation::open(options, failure);
    if (conversation == nullptr) return failure;
    Chat chat{options, *conversation, MessageLog(options.system), options.think};
    // Ctrl-C just after an answer's end was meant for the answer: it must not end the program.
    std::optional<InterruptScope> between_lines;
    if (input_is_terminal()) between_lines.emplace(true);
    LineEditor editor;
    if (input_is_terminal()) say("Type a message, or /help. Ctrl-D leaves.");
    std::string message;
    while (!chat.done) {
        const LineEnd end = read_message(editor, line_prompt(chat), message);
        if (end == LineEnd::end_of_input) {
            if (input_is_terminal()) chat.out.write("\n");
            break;
        }
        if (end == LineEnd::line) chat.take_line(message);
    }
    return chat.out.finish();
}

}  // namespace gemlet
