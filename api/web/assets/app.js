'use strict';
// Moves the page that the server rendered: polls the JSON API once a second and
// writes what changed into the elements that are already there. Nothing here is
// needed to read the numbers.
(() => {
  const every = 1000, patience = 8000, minute = 60000;
  const $ = (id) => document.getElementById(id);
  const root = document.documentElement;
  const still = matchMedia('(prefers-reduced-motion: reduce)');
  const comma = new Intl.NumberFormat('en').format;
  const tenth = new Intl.NumberFormat('en', { maximumFractionDigits: 1 }).format;
  const share = (part, whole) => (whole > 0 ? (100 * part / whole).toFixed(2) : '0') + ' %';
  const text = (el, s) => { if (el && el.textContent !== s) el.textContent = s; };

  let paused = false, timer = 0, round = 0, request = null;
  let said = '', saidAt = -10000;
  // The age of the counts by this machine's clock: the server said it once, and
  // from then on every new as_of is new.
  let asOf = $('age').dataset.asOf, asOfSeen = -1000 * $('age').dataset.seconds;

  // --- asking -------------------------------------------------------------

  async function get(path, params, signal) {
    const query = new URLSearchParams({ allow_stale: 'true', ...params });
    const answer = await fetch(`/api/v1/${path}?${query}`, { signal, cache: 'no-store' });
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return answer.json();
  }

  // poll asks for everything the page shows; a newer poll makes it void.
  async function poll() {
    clearTimeout(timer);
    request?.abort();
    const mine = ++round;
    request = new AbortController();
    const late = setTimeout(() => request?.abort(), patience);
    try {
      const answers = await ask(request.signal);
      if (mine === round) show(...answers);
    } catch {
      if (mine === round) unreachable();
    } finally {
      clearTimeout(late);
      if (mine === round) again();
    }
  }

  function again() {
    clearTimeout(timer);
    if (!paused && !document.hidden) timer = setTimeout(poll, every);
  }

  function ask(signal) {
    const asked = [get('stats', {}, signal)];
    if ($('one')) asked.push(get(`hashtags/${encodeURIComponent($('one').dataset.tag)}`, {}, signal));
    if ($('top')) asked.push(get('top', { limit: 10 }, signal), get('hashtags', { limit: 50, ...place() }, signal));
    return Promise.all(asked);
  }

  // place is where the table stands: the address of the page says it.
  function place() {
    const here = new URLSearchParams(location.search), at = {};
    for (const name of ['q', 'cursor']) if (here.get(name)) at[name] = here.get(name);
    return at;
  }

  // --- showing ------------------------------------------------------------

  function show(stats, first, list) {
    const { data, meta } = stats;
    text($('posts'), comma(data.posts));
    text($('rate'), tenth(data.posts_per_second));
    text($('uses'), comma(data.uses));
    text($('tags'), comma(data.tags));
    drawRate(data.posts_per_second);
    showState(meta);
    if (list) { showTop(first.data); showList(list, data.uses); }
    else if (first) showOne(first.data, data.uses);
  }

  function showState(meta) {
    if (meta.as_of && meta.as_of !== asOf) { asOf = meta.as_of; asOfSeen = performance.now(); }
    const percent = Math.floor(100 * (meta.progress ?? 0));
    // A little is always under way; the footer has the exact number.
    const behind = meta.lag > 1000 ? `, ${comma(meta.lag)} behind` : '';
    const words = {
      running: meta.stale ? 'Behind' : `Live${behind}`,
      restoring: `Restoring, ${percent} %`,
      disconnected: 'Disconnected',
    };
    say(meta.state, words[meta.state]);
    const clock = meta.as_of ? new Date(meta.as_of).toLocaleTimeString() : 'the last run';
    banner({
      restoring: 'The counts are being read back. They are not complete yet.',
      disconnected: `Disconnected from the log. These counts are from ${clock} and do not move.`,
    }[meta.state], meta.state === 'restoring' ? percent : null);
    root.classList.toggle('old', meta.state !== 'running' || meta.stale);
    text($('lag'), meta.lag === null ? '' : meta.lag === 0 ? 'Nothing waits to be counted.' : `${comma(meta.lag)} records wait to be counted.`);
    tick();
  }

  function unreachable() {
    say('unreachable', 'No answer');
    banner('The server does not answer. The page keeps asking.', null);
    root.classList.add('old');
  }

  function say(state, words) {
    $('status').dataset.state = paused ? 'paused' : state;
    text($('status-text'), paused ? 'Paused' : words);
    if (state !== 'running' && state !== said) announce(words);
    said = state;
  }

  function banner(words, percent) {
    $('banner').hidden = !words;
    text($('banner-text'), words ?? '');
    $('banner-progress').hidden = percent === null;
    $('banner-progress').value = percent ?? 0;
  }

  function tick() {
    const age = Math.round((performance.now() - asOfSeen) / 1000);
    if (asOf) text($('age'), age < 2 ? 'updated just now' : `updated ${age < 120 ? `${age} s` : `${Math.floor(age / 60)} min`} ago`);
  }

  // announce tells a screen reader, at most every ten seconds.
  function announce(words) {
    if (performance.now() - saidAt < 10000) return;
    saidAt = performance.now();
    text($('announce'), words);
  }

  // --- the chart ----------------------------------------------------------

  const past = new Map(); // tag → [time, count] of the last minute, for the bars shown
  for (const li of document.querySelectorAll('#top li')) past.set(li.dataset.tag, [[0, Number(li.querySelector('.count').textContent.replaceAll(',', ''))]]);

  function showTop(rows) {
    $('empty').hidden = rows.length > 0;
    const leader = $('top').firstElementChild?.dataset.tag;
    arrange($('top'), rows, $('bar'), (li, row) => {
      for (const rect of li.querySelectorAll('rect')) rect.setAttribute('width', `${(100 * row.count / rows[0].count).toFixed(2)}%`);
      const grown = growth(row);
      text(li.querySelector('.delta'), grown > 0 ? `+${comma(grown)}` : '');
    });
    $('top-hint').hidden = !$('top').querySelector('.delta:not(:empty)');
    for (const tag of past.keys()) if (!rows.some((row) => row.tag === tag)) past.delete(tag);
    if (leader && rows[0] && rows[0].tag !== leader) announce(`${rows[0].display} leads with ${comma(rows[0].count)} uses`);
  }

  function growth(row) {
    const now = performance.now(), samples = past.get(row.tag) ?? [];
    samples.push([now, row.count]);
    while (samples[0][0] < now - minute) samples.shift();
    past.set(row.tag, samples);
    return row.count - samples[0][1];
  }

  // --- the table ----------------------------------------------------------

  function showList({ data, meta }, uses) {
    const at = place();
    $('table').hidden = data.length === 0;
    $('none').hidden = data.length > 0 || !at.q;
    $('nothing').hidden = data.length > 0 || Boolean(at.q);
    text($('none-q'), at.q ?? '');
    arrange($('rows'), data, $('row'), (tr, row) => text(tr.querySelector('.share'), share(row.count, uses)));
    $('first').hidden = !at.cursor;
    $('first').href = address(at.q, '');
    $('next').hidden = !meta.next_cursor;
    $('next').href = address(at.q, meta.next_cursor);
  }

  function address(q, cursor) {
    const query = new URLSearchParams();
    if (q) query.set('q', q);
    if (cursor) query.set('cursor', cursor);
    return `/${query.size ? `?${query}` : ''}#all`;
  }

  // arrange makes the children of list the rows, keyed by tag: an element stays
  // with its tag, glides to its new place, and keeps the focus if it has it.
  function arrange(list, rows, template, finish) {
    const olds = new Map(Array.from(list.children, (el) => [el.dataset.tag, el]));
    const moved = rows.length !== olds.size || rows.some((row, i) => list.children[i].dataset.tag !== row.tag);
    const glide = moved && !still.matches && !document.hidden;
    const tops = new Map();
    if (glide) for (const el of olds.values()) tops.set(el, el.getBoundingClientRect().top);
    const focused = list.contains(document.activeElement) ? document.activeElement : null;
    rows.forEach((row, i) => {
      const el = olds.get(row.tag) ?? create(template, row.tag);
      olds.delete(row.tag);
      text(el.querySelector('.rank'), comma(row.rank));
      text(el.querySelector('bdi'), row.display);
      text(el.querySelector('.count'), comma(row.count));
      finish(el, row);
      if (list.children[i] !== el) put(list, el, list.children[i] ?? null);
    });
    for (const el of olds.values()) el.remove();
    if (focused && document.activeElement !== focused) (focused.isConnected ? focused : list.closest('section')).focus({ preventScroll: true });
    if (glide) for (const el of list.children) slide(el, tops.get(el));
  }

  function create(template, tag) {
    const el = template.content.firstElementChild.cloneNode(true);
    el.dataset.tag = tag;
    el.querySelector('a').href = `/hashtags/${encodeURIComponent(tag)}`;
    return el;
  }

  function put(list, el, before) {
    if (el.isConnected && list.moveBefore) list.moveBefore(el, before);
    else list.insertBefore(el, before);
  }

  function slide(el, from) {
    const way = from === undefined ? 0 : from - el.getBoundingClientRect().top;
    if (from === undefined) el.animate([{ opacity: 0 }, { opacity: 1 }], 400);
    else if (way) el.animate([{ transform: `translateY(${way}px)` }, { transform: 'none' }], { duration: 600, easing: 'cubic-bezier(.2,.7,.2,1)' });
  }

  // --- lines --------------------------------------------------------------

  const rates = [], counts = [];

  function drawRate(rate) {
    keep(rates, rate);
    draw($('spark'), rates, 0);
  }

  function showOne(row, uses) {
    keep(counts, row.count);
    text(document.querySelector('h1 bdi'), row.display);
    text($('one-count'), comma(row.count));
    text($('one-rank'), comma(row.rank));
    text($('one-share'), share(row.count, uses).slice(0, -2));
    text($('one-delta'), `+${comma(row.count - counts[0])}`);
    $('one-figure').hidden = counts.length < 2;
    draw($('one-spark'), counts, counts[0]);
  }

  function keep(samples, value) {
    samples.push(value);
    if (samples.length > 90) samples.shift();
  }

  function draw(svg, samples, floor) {
    if (!svg || samples.length < 2) return;
    const high = 1.1 * (Math.max(...samples, floor + 1) - floor);
    const points = samples.map((v, i) => `${(90 * i / (samples.length - 1)).toFixed(1)} ${(23 - 22 * (v - floor) / high).toFixed(1)}`);
    svg.querySelector('.line').setAttribute('d', `M${points.join('L')}`);
    svg.querySelector('.area').setAttribute('d', `M0 24L${points.join('L')}L90 24z`);
  }

  // --- what the reader does -----------------------------------------------

  function go(href, replace) {
    history[replace ? 'replaceState' : 'pushState'](null, '', href);
    poll();
  }

  function listen() {
    const q = $('q');
    let typing = 0;
    const seek = () => { clearTimeout(typing); go(address(q.value.trim(), ''), true); };
    q.addEventListener('input', () => { clearTimeout(typing); typing = setTimeout(seek, 150); });
    $('search').addEventListener('submit', (e) => { e.preventDefault(); seek(); });
    document.addEventListener('keydown', (e) => {
      if (e.key !== '/' || e.ctrlKey || e.metaKey || e.altKey || e.target.closest('input, textarea, select')) return;
      e.preventDefault();
      q.focus();
      q.select();
    });
    for (const link of [$('first'), $('next')]) link.addEventListener('click', turn);
    addEventListener('popstate', () => { q.value = place().q ?? ''; poll(); });
  }

  // turn goes to another page of the table; the focus goes to its start.
  function turn(e) {
    if (e.button || e.ctrlKey || e.metaKey || e.shiftKey || e.altKey) return;
    e.preventDefault();
    go(e.currentTarget.getAttribute('href'), false);
    $('all').scrollIntoView();
    $('all').focus({ preventScroll: true });
  }

  function pause() {
    paused = !paused;
    $('pause').setAttribute('aria-pressed', String(paused));
    text($('pause-text'), paused ? 'Resume' : 'Pause');
    root.classList.toggle('paused', paused);
    if (paused) { round++; request?.abort(); clearTimeout(timer); say(said, ''); } else poll();
  }

  const dark = matchMedia('(prefers-color-scheme: dark)');
  const isDark = () => (root.dataset.theme ?? (dark.matches ? 'dark' : 'light')) === 'dark';
  const nameTheme = () => text($('theme-text'), isDark() ? 'Light' : 'Dark');

  function theme() {
    root.dataset.theme = isDark() ? 'light' : 'dark';
    try { localStorage.setItem('theme', root.dataset.theme); } catch { /* then only for this page */ }
    nameTheme();
  }

  if ($('q')) listen();
  $('pause').hidden = $('theme').hidden = false;
  $('pause').addEventListener('click', pause);
  $('theme').addEventListener('click', theme);
  dark.addEventListener('change', nameTheme);
  nameTheme();
  document.addEventListener('visibilitychange', () => { if (!document.hidden && !paused) poll(); else clearTimeout(timer); });
  setInterval(() => { if (!document.hidden && !paused) tick(); }, every);
  poll();
})();
