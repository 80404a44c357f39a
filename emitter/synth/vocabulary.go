package synth

import (
	"math"
	"slices"
	"strings"
	"unicode"
)

// popular are the well-known tags, the most popular first.
var popular = strings.Fields(`
	COVID19 StayHome coronavirus BlackLivesMatter BTS 코로나19 新型コロナウイルス StaySafe WorkFromHome
	كورونا LockdownLife Кошки music วันนี้ photography QuarantineLife travel MondayMotivation коронавирус
	FlattenTheCurve love कोरोना SocialDistancing Netflix food निर्वाचन 在宅勤務 ThrowbackThursday WashYourHands
	fútbol StayAtHome новости Vaccine cats ClapForOurCarers Handwerk dogs ремонт COVIDー19 sunset 방탄소년단
	QuédateEnCasa football FridayFeeling ปิดเมือง vaccinated ハンドメイド CoronaVirusUpdate nature art ארוחה
	ConfinementJour1 PS5 fitness RestezChezVous Zoom TigerKing news MaskUp WFH gaming ドラマ قرآن coffee AnimalCrossing
	Öffentlichkeit ιός RIP Wuhan InternationalWomensDay กรุงเทพ homeschooling أخبار yoga Climate 추천 baking
	sourdough IchBleibeZuhause books FrontlineHeroes ねこ MoviesAtHome jobs WirBleibenZuhause vegan Κορωνοϊός 妈妈 remote
	IoRestoACasa AndràTuttoBene weather Olympics Tokyo2020 הישארובבית NBA LongCovid ипотека weddingpostponed वर्क_फ्रॉम_होम
	SelfCare MentalHealth 口罩 健康 ガチャ Eurovision PPE NHS TogetherAtHome Friends Bitcoin Elections2020 кофе VidaNova
	Sommer Frühling été primavera zima лето зима 春 花見 桜 카페 일상 셀카 맛집 Ramadan رمضان عيد Diwali दिवाली Songkran สงกรานต์
	Hanukkah חנוכה Weihnachten Noël ΧριστόςΑνέστη NewYear 新年快乐 あけましておめでとう 새해 garden tomato bread pizza sushi ramen
	ラーメン 寿司 kimchi 김치 curry करी falafel פלאפל tea чай çay 紅茶 चाय piano guitar jazz techno opera KPop 데뷔 Concert livestream
	WorldHealthDay WHO CDC RKI Herdenimmunität R0 AstraZeneca Pfizer Moderna Sputnik_V booster Delta Omicron variant
	PandemicLife pandemic QuarantineBirthday haircut toiletpaper Klopapier handsanitizer ZoomFail Houseparty TikTok dalgonacoffee
	Moscow Москва Київ 東京 大阪 北京 서울 부산 Mumbai मुंबई دبي القاهرة ירושלים Αθήνα Istanbul İstanbul São_Paulo México Bogotá Łódź
	science python golang rustlang opensource kafka data AI 機械学習 space SpaceX Mars NEOWISE comet moon 日食 birds bees trees rain
	run marathon cycling chess шахматы esports speedrun anime アニメ manga 漫画 cosplay 鬼滅の刃 あつ森 ドット絵 웹툰 drawing inktober
	poem haiku 俳句 книга libros lectura cine filme film мем memes kot pies katze hund pferd gato perro 猫 犬 고양이 강아지 кот пёс حصان
	MeTime ThankYou Merci Danke Gracias Спасибо شكرا תודה ありがとう 고맙습니다 धन्यवाद ขอบคุณ 谢谢 Grazie Obrigado Ευχαριστώ Kiitos Tack
	ብርሃን հայաստան საქართველო தமிழ் తెలుగు বাংলা ಕನ್ನಡ മലയാളം ខ្មែរ မြန်မာ සිංහල ཨོཾ`)

// The words of which rare tags are made.
var (
	firsts = strings.Fields(`My Our Old New Big Tiny Late Early Happy Sad Quiet Loud Blue Green Golden Silver Wild Urban Rural
		Digital Local Global Daily Weekly Secret Open Lost Found Slow Fast Winter Summer Мой Новый Старый わたしの 東京 우리 서울 मेरा
		نحن יום ฉันรัก 小 大 Ma Mein Mi Nasz Yeni`)
	seconds = strings.Fields(`Garden Kitchen Street Window Project Podcast Playlist Diary Club Market School Choir Team Café River
		Mountain Bike Train Bakery Library Museum Recipe Story Photo Sketch Robot Sensor Novel Letter Puzzle Harbour Lighthouse
		Собака День 日記 写真 생활 일기 घर دفتر בית แมว 家 店 Jardin Haus Casa Dom`)
	// The words of tags for one day.
	events = strings.Fields(`Storm Justice4 Vote4 RIP Welcome Happy Free TeamUp ThankYou Goodbye Concert4 Final Breaking Ураган 祝 응원해`)
	names  = strings.Fields(`Lena Arthur Ciara Dennis Hanna Isaias Laura Zeta Amphan Amina Chen Diego Elif Farid Goran Hiro Ines Joon
		Kofi Lucía Mateo Nadia Oleg Priya Quinn Rosa Sven Tariq Uma Vera Wanjiru Ximena Yuki Zofia Тарас 翔太 지우`)
	emoji = strings.Fields(`😷 🙏 🏠 💉 🎉 😂 ❤️ 🐱 🌸 🔥 👏 🇮🇹 👩🏽‍⚕️ ☕`)
)

// sentences are what posts say before their tags.
var sentences = []string{
	"Good morning everyone", "Still working from the kitchen table", "Day 12 and counting", "Look at this sky tonight",
	"Does anybody know a good recipe?", "Stay safe, all of you", "Wash your hands!", "Missing my friends today",
	"New episode is out", "Guten Morgen zusammen", "Schon wieder Montag", "Buenos días a todos", "Quédate en casa",
	"Bonjour le monde", "On reste à la maison", "Доброе утро", "Сегодня дома", "おはようございます", "今日もいい天気", "오늘도 집에서",
	"좋은 아침", "صباح الخير", "ابق في البيت", "בוקר טוב", "सुप्रभात", "घर पर रहें", "สวัสดีตอนเช้า", "早上好", "今天在家", "Καλημέρα",
	"Günaydın", "Dzień dobry", "I cannot believe this &amp; that", "Numbers are going down at last",
}

// tracked are sentences with what the article tracked: corona virus, COVID-19,
// pandemic.
var tracked = []string{
	"The corona virus is everywhere in the news", "Is this corona thing a virus or a test of patience?",
	"COVID-19 numbers for today", "Got my COVID-19 test back: negative", "How did you spend the pandemic?",
	"This pandemic will end", "In a pandemic, kindness counts", "Vaccines against COVID-19 are here",
	"corona virus: what we know so far", "Pandemic puppies are growing up",
}

// A vocabulary is the popular tags with how popular they are.
type vocabulary struct {
	spellings [][4][]byte // of each tag: as listed, lower, upper, full width or as listed
	below     []float64   // probabilities, added up
}

// newVocabulary gives the tag of rank r the weight 1/(r+3).
func newVocabulary() vocabulary {
	var v vocabulary
	var total float64
	for r, tag := range popular {
		v.spellings = append(v.spellings, [4][]byte{
			[]byte(tag), []byte(strings.ToLower(tag)), []byte(strings.ToUpper(tag)), []byte(fullWidth(tag)),
		})
		total += 1 / float64(r+4)
		v.below = append(v.below, total)
	}
	for i := range v.below {
		v.below[i] /= total
	}
	v.below[len(v.below)-1] = math.Inf(1)
	return v
}

// fullWidth is an ASCII tag as Japanese keyboards write it.
func fullWidth(tag string) string {
	if strings.ContainsFunc(tag, func(r rune) bool { return r > unicode.MaxASCII || r == '_' }) {
		return tag
	}
	return strings.Map(func(r rune) rune { return r - '!' + '！' }, tag)
}

// tag returns the tag at u of all, with u in [0,1), in the spelling that x says.
func (v *vocabulary) tag(u float64, x uint64) []byte {
	i, found := slices.BinarySearch(v.below, u)
	if found {
		i++
	}
	return v.spell(i, x)
}

func (v *vocabulary) spell(i int, x uint64) []byte {
	switch x %= 100; {
	case x < 66:
		return v.spellings[i][0]
	case x < 90:
		return v.spellings[i][1]
	case x < 98:
		return v.spellings[i][2]
	}
	return v.spellings[i][3]
}
