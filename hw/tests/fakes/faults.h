// What goes wrong with the stand-in for the CUDA driver, and when: told by the environment, by files beside the library, or
// by tests through devices.h. Included by driver.h alone.
//
// A worker inherits no environment, so two files beside the library speak for it, each with a line NAME=value for what it
// sets: LIBRARY.settings is read with the environment, LIBRARY.control at each call when it has changed.
#pragma once

#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <dlfcn.h>
#include <fstream>
#include <map>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace {

using Settings = std::map<std::string, std::string>;

// A file beside the library.
std::string beside(const char* ending) {
    Dl_info found;
    static const char here = 0;
    if (!dladdr(&here, &found) || !found.dli_fname) return "";
    return std::string(found.dli_fname) + ending;
}

Settings read_settings(const std::string& path) {
    Settings settings;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        const std::size_t equals = line.find('=');
        if (equals != std::string::npos) settings[line.substr(0, equals)] = line.substr(equals + 1);
    }
    return settings;
}

// What a call does instead of what it should: answer a code; answer it and break its context; never return; end the process
// as a bad pointer does.
enum How { ANSWER, STICK, HANG, CRASH };

struct Fail {
    std::string name;
    int code;
    unsigned call;  // the number of the call, from 1; 0: every one
    How how;
    bool once;  // the control file goes when it happens, so that it happens to one process
};

// FAKE_CUDA_FAIL=name:code:k and FAKE_CUDA_STICK alike, FAKE_CUDA_HANG=name:k, FAKE_CUDA_CRASH=name:k; without k, every
// call; more after a comma; `once:` before a name.
void add_fails(const char* text, How how, std::vector<Fail>& fails) {
    for (std::string rest = text ? text : ""; !rest.empty();) {
        std::string one = rest.substr(0, rest.find(','));
        rest.erase(0, one.size() + 1);
        const bool once = one.rfind("once:", 0) == 0;
        if (once) one.erase(0, 5);
        char name[64] = "";
        int code = 0;
        unsigned call = 0;
        const bool coded = how == ANSWER || how == STICK;
        const int read = coded ? std::sscanf(one.c_str(), "%63[^:]:%d:%u", name, &code, &call)
                               : std::sscanf(one.c_str(), "%63[^:]:%u", name, &call);
        if (read >= (coded ? 2 : 1)) fails.push_back({name, code, call, how, once});
    }
}

// What the control file says now.
class Control {
  public:
    // Whether the card is off the bus: no call does anything any more, in no process.
    bool lost = false;

    // The fault that this call meets, or null.
    const Fail* next(const char* name) {
        look();
        if (fails.empty()) return nullptr;
        const unsigned count = ++calls[name];
        for (const Fail& fail : fails) {
            if (fail.name != name || (fail.call != 0 && fail.call != count)) continue;
            // Of two processes one meets it. The file may be a link to where a confined process can remove it.
            if (fail.once && unlink(real().c_str()) != 0) continue;
            return &fail;
        }
        return nullptr;
    }

  private:
    const std::string path = beside(".control");
    struct stat seen = {};
    std::vector<Fail> fails;
    std::map<std::string, unsigned> calls;

    std::string real() const {
        char found[PATH_MAX];
        return realpath(path.c_str(), found) ? found : path;
    }

    void look() {
        struct stat now = {};
        if (stat(path.c_str(), &now) != 0) now = {};
        if (now.st_ino == seen.st_ino && now.st_mtim.tv_sec == seen.st_mtim.tv_sec &&
            now.st_mtim.tv_nsec == seen.st_mtim.tv_nsec) {
            return;
        }
        seen = now;
        fails.clear();
        calls.clear();
        const Settings said = read_settings(path);
        const auto text = [&](const char* name) { return said.count(name) ? said.at(name).c_str() : nullptr; };
        add_fails(text("FAKE_CUDA_FAIL"), ANSWER, fails);
        add_fails(text("FAKE_CUDA_STICK"), STICK, fails);
        add_fails(text("FAKE_CUDA_HANG"), HANG, fails);
        add_fails(text("FAKE_CUDA_CRASH"), CRASH, fails);
        lost = said.count("FAKE_CUDA_LOST") != 0;
    }
};

[[noreturn]] void hang() {
    for (;;) pause();
}

[[noreturn]] void crash() {
    // Handlers that take a fault for their own let this one pass.
    *reinterpret_cast<volatile int*>(8) = 0;
    std::abort();
}

// Who holds how much of the devices' memory: a file for each process in the folder LIBRARY.ledger, where there is one.
class Ledger {
  public:
    void post(std::size_t bytes) const {
        std::ofstream(folder + "/" + std::to_string(getpid())) << bytes;
    }

    // What other processes hold. Memory of one that has ended is free.
    std::size_t others() const {
        std::size_t sum = 0;
        DIR* open = opendir(folder.c_str());
        if (!open) return 0;
        while (const dirent* entry = readdir(open)) {
            const int pid = std::atoi(entry->d_name);
            // A confined process may not even ask by a signal whether another lives.
            if (pid <= 0 || pid == getpid() || access(("/proc/" + std::to_string(pid)).c_str(), F_OK) != 0) continue;
            std::size_t bytes = 0;
            std::ifstream(folder + "/" + entry->d_name) >> bytes;
            sum += bytes;
        }
        closedir(open);
        return sum;
    }

  private:
    const std::string folder = beside(".ledger");
};

}  // namespace
