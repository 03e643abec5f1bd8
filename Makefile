# The front door. CMake does the work; each target here is one thing that a person wants.
#
#   make            build/release/zandaka
#   make run        what is missing is installed, then the server runs on zandaka-data/, port 8630
#   make test       every test there is
#   make sim        simulated worlds against the contract, for HOURS=n; SEED=n tells one of them
#   make demo       a bank's real transactions, with the plug pulled on the way
#   make demo-postgres  the same on PostgreSQL: two servers, one database, a kill of each
#   make demo-spanner   the same on Google's emulator of Cloud Spanner, with kills of the server
#   make consistency  histories of many clients, under faults, judged from outside (MINUTES=, SEED=);
#                   SERVERS=2: so many servers on one PostgreSQL
#   make disk       power cuts, failing calls, damaged bytes: the long form (SEED=)
#   make drain      stopped under load, for ROUNDS=n (50): no answer contradicts what is there
#   make memory     every allocation of every call fails once: the long form (SEED=)
#   make fuzz       every parser is fed what a fuzzer makes up, for MINUTES=n in all (SEED=)
#   make bench      the benchmark, beside the machine's own limits
#   make coverage   which lines and branches the tests reach
#   make mutants    the code broken on purpose: FOLDER=ledger SAMPLE=100 SEED=1
#   make install    into $(DESTDIR)$(PREFIX)
#   make deb        a Debian package, in build/deb

PREFIX ?= /usr/local
MINUTES ?= 10
CMAKE_FLAGS = -G Ninja -Wno-dev

.PHONY: build run test sim demo demo-postgres demo-spanner consistency disk drain memory fuzz bench coverage mutants install deb deps test-deps format clean

build: deps
	@cmake -S . -B build/release $(CMAKE_FLAGS) -DCMAKE_INSTALL_PREFIX=$(PREFIX) >/dev/null
	@cmake --build build/release --target zandaka

run: build
	build/release/zandaka serve

test: test-deps
	@scripts/test.sh

sim: test-deps
	@cmake -S . -B build/release $(CMAKE_FLAGS) -DZANDAKA_TESTS=ON >/dev/null
	@cmake --build build/release --target zandaka_sim
	build/release/zandaka_sim $(if $(SEED),--seed $(SEED),--hours $(or $(HOURS),0.05))

demo: build
	@scripts/demo.py build/release/zandaka

demo-postgres: test-deps build
	@scripts/demo_postgres.py build/release/zandaka

demo-spanner: test-deps build
	@scripts/demo_spanner.py build/release/zandaka

consistency: test-deps build
	@tests/consistency/$(if $(SERVERS),on_postgres.py build/release -servers $(SERVERS),run.sh build/release) -for $(MINUTES)m $(if $(SEED),-seed $(SEED))

disk memory: test-deps
	@cmake -S . -B build/release $(CMAKE_FLAGS) -DZANDAKA_TESTS=ON -DZANDAKA_TEST_SOURCE=ON >/dev/null
	@cmake --build build/release
	@scripts/faults.sh $@ $(SEED)

drain: test-deps
	@cmake -S . -B build/release $(CMAKE_FLAGS) -DZANDAKA_TESTS=ON -DZANDAKA_TEST_SOURCE=ON >/dev/null
	@cmake --build build/release
	ZANDAKA_DRAINS=$(or $(ROUNDS),50) ZANDAKA=build/release/zandaka ZANDAKA_MESSAGES=build/release/python \
		/usr/bin/python3 tests/outside/test_shutdown.py Shutdown.test_sigterm_under_load_contradicts_no_answer

fuzz: test-deps
	@cmake -S . -B build/fuzz $(CMAKE_FLAGS) -DCMAKE_C_COMPILER=clang -DZANDAKA_SANITIZE=address -DZANDAKA_FUZZ=ON >/dev/null
	@cmake --build build/fuzz
	@scripts/fuzz.py build/fuzz --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

bench: test-deps
	@cmake -S . -B build/release $(CMAKE_FLAGS) -DZANDAKA_TESTS=ON >/dev/null
	@cmake --build build/release
	@scripts/bench.sh

coverage: test-deps
	@scripts/coverage.py

FOLDER = ledger
mutants: test-deps
	@scripts/mutate.py $(FOLDER) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED))

install: build
	DESTDIR=$(DESTDIR) cmake --install build/release --prefix $(PREFIX)

deb:
	@scripts/deps.sh build package
	@DEB_RULES_REQUIRES_ROOT=no debian/rules clean binary
	@ls build/deb/*.deb

deps:
	@scripts/deps.sh build

test-deps:
	@scripts/deps.sh build test

format:
	@scripts/check_format.sh --mend

clean:
	rm -rf build
